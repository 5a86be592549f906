"""Documents worth reading: the best, those on either side of the cut, and where annotator and encoder disagree most."""

from collections.abc import Mapping, Sequence
from typing import Any

from datashop_assets.core.step import OpenRun
from datashop_assets.data_card.documents import Row, seen
from datashop_assets.data_card.scan import SHOWN, Scan
from datashop_assets.documents.pool import read_chosen

CHARACTERS = 1200  # of a text on the page
Samples = dict[str, list[dict[str, Any]]]


def samples(run: OpenRun, found: Scan, answers: Mapping[str, Row]) -> Samples:
    """Title -> documents with id, source, score, what the annotator said, and the part that both read.

    `answers` are those of `documents.annotated`.
    """
    texts = _texts(run, found.samples)

    def shown(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        return [{**_named(row), "text": texts[row["shard"], row["row"]]} for row in rows]

    return {
        "Best": shown(found.best),
        "Just kept": shown(found.above),
        "Rejected, but close": shown(found.below),
        **disagreements(answers),
    }


def disagreements(answers: Mapping[str, Row]) -> Samples:
    """Labelled documents whose label is farthest from the score of an encoder that had not seen it."""
    labelled = [
        {"id": name, **row, "text": row["text"][:CHARACTERS]}
        for name, row in answers.items()
        if row.get("unseen") is not None
    ]
    ordered = sorted(labelled, key=lambda row: (row["unseen"] - row["label"], row["id"]))
    return {
        "The annotator says yes, the encoder no": [row for row in ordered[:SHOWN] if row["unseen"] < row["label"]],
        "The encoder says yes, the annotator no": [
            row for row in ordered[: -SHOWN - 1 : -1] if row["unseen"] > row["label"]
        ],
    }


def _texts(run: OpenRun, rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, int], str]:
    """Reads these rows, and no other, of the shards that hold one."""
    wanted = {(row["shard"], row["row"]) for row in rows}
    pool = run.inputs["pretraining_pool"]
    return {
        (shard, row): seen(document.text, run.config, CHARACTERS)[0]
        for shard in sorted({shard for shard, _ in wanted})
        for row, document in read_chosen(pool, shard, sorted(row for name, row in wanted if name == shard))
    }


def _named(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("id", "source", "split", "score", "kept")}
