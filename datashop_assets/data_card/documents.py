"""The documents that can be browsed: every annotated one and the pool beside it, up to a limit, by sample above it."""

import base64
import gzip
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import polars as pl

from datashop_assets.core.step import OpenRun
from datashop_assets.data_card.scan import attributes
from datashop_assets.documents.pool import read_chosen
from datashop_assets.excerpts import excerpt
from datashop_assets.storage.digests import keyed_hash

LIMIT = 100_000  # documents in the browser; more make it slow
CHARACTERS = 40_000_000  # of text in the browser, all documents together
SHOWN_CHARACTERS = 4000  # of an annotated text, whatever the annotator read
NAMED = ("source", "split", "status")  # columns of few values: stored as numbers and a list of names
OUTSIDE = "outside the shards browsed"  # of an annotated document: another shard's, or no document of the pool
OUT_OF_FOLD = "out_of_fold.parquet"
COLUMNS: dict[str, Any] = {
    "id": "",
    "source": "",
    "split": OUTSIDE,
    "score": None,  # the encoder's, as the pool was scored
    "kept": False,
    "status": "not asked",
    "asked": None,  # the annotator's expected score
    "label": None,
    "unseen": None,  # the encoder's score from a fold that did not see the label
    "reply": "",
    "text": "",
    "cut": False,
}
Row = dict[str, Any]


@dataclass(frozen=True)
class Browsed:
    """Rows with the columns above, and how many documents there are to choose from."""

    rows: Sequence[Row]
    documents: int

    def payload(self) -> str:
        """The rows as base64 of gzipped JSON, by column: `{"names": {...}, "columns": {...}, "documents": N}`."""
        columns: dict[str, list[Any]] = {name: [row[name] for row in self.rows] for name in COLUMNS}
        names = {name: sorted(set(columns[name])) for name in NAMED}
        for name, values in names.items():
            code = {value: place for place, value in enumerate(values)}
            columns[name] = [code[value] for value in columns[name]]
        value = {"names": names, "columns": columns, "documents": self.documents}
        return base64.b64encode(gzip.compress(orjson.dumps(value), 6, mtime=0)).decode()


def browsed(run: OpenRun, shards: Sequence[str], answers: Mapping[str, Row], limit: int = LIMIT) -> Browsed:
    """Annotated documents (at most half of `limit`) and beside them whole shards of the pool, chosen by hash.

    `answers` are those of `annotated`.
    """
    asked = dict(sorted(answers.items(), key=lambda one: keyed_hash("browse", one[0]))[: limit // 2])
    rows = list(_pool_rows(run, shards, asked, limit))
    found, total = {row["id"] for row in rows}, int(run.inputs["pool_scores"].metrics["documents"])
    alone = [COLUMNS | {"id": name} | answer for name, answer in asked.items() if name not in found]
    return Browsed([*rows, *alone], total + len(alone) if len(rows) == total else total)


def annotated(run: OpenRun) -> dict[str, Row]:
    """What annotator and encoder say of every annotated document, by id, with the text that both read."""
    written = run.config["annotator"]["scoring"] == "generate"
    found = {
        row["id"]: {
            "source": row["source"],
            "status": row["status"],
            "asked": _rounded(row["expected_score"]),
            "reply": (row["raw"] if written else by_probability(row["raw"])) or row["reason"],
            "text": row["text"][:SHOWN_CHARACTERS],
            "cut": row["cut"],
        }
        for row in run.inputs["annotations"].all_rows()
    }
    for row in unseen_scores(run).iter_rows(named=True):
        found.get(row["id"], {}).update(label=row["label"], unseen=_rounded(row["score"]))
    return found


def by_probability(raw: str) -> str:
    """Probabilities of answers as lines, the likeliest first. What is no such object stays as it is."""
    try:
        found = orjson.loads(raw)
        return "\n".join(f"{share:.3f} {answer}" for answer, share in sorted(found.items(), key=lambda one: -one[1]))
    except (orjson.JSONDecodeError, AttributeError, TypeError, ValueError):
        return raw


def unseen_scores(run: OpenRun) -> pl.DataFrame:
    """The encoder's scores of labelled documents it had not seen; empty where an encoder keeps none."""
    folder = run.inputs["encoder"]
    if OUT_OF_FOLD in {file.name for file in folder.manifest.files}:
        return folder.table(OUT_OF_FOLD)
    schema = {"id": pl.String, "source": pl.String, "label": pl.Int8, "expected_score": pl.Float64, "score": pl.Float64}
    return pl.DataFrame([], schema)


def _pool_rows(run: OpenRun, shards: Sequence[str], asked: Mapping[str, Row], limit: int) -> Iterator[Row]:
    """As many as leave room for the annotated documents that are not among them."""
    pool, kept = run.inputs["pretraining_pool"], run.inputs["filtered_pool"]
    characters = CHARACTERS // max(1, min(limit, run.inputs["pool_scores"].metrics["documents"]))
    left = limit - len(asked)
    with run.resources.progress.bar("data card: documents", len(shards), "shards") as bar:
        for shard in sorted(shards, key=lambda name: keyed_hash("browse", name)):
            if left <= 0:
                break
            table = attributes(pool, kept, shard)
            others = ~table["id"].is_in(list(asked))
            table = table.filter(others.cum_sum() <= left)
            known = {row["row"]: row for row in table.iter_rows(named=True)}
            for row, document in read_chosen(pool, shard, sorted(known)):
                yield _row(known[row], document.text, asked, run.config, characters)
            left -= int(others.sum())
            bar.advance()


def _row(known: Row, text: str, asked: Mapping[str, Row], config: Mapping[str, Any], characters: int) -> Row:
    part, cut = seen(text, config, characters)
    row: Row = COLUMNS | {name: known[name] for name in ("id", "source", "split", "kept")}
    return row | {"score": _rounded(known["score"]), "text": part, "cut": cut} | asked.get(known["id"], {})


def seen(text: str, config: Mapping[str, Any], characters: int) -> tuple[str, bool]:
    """The part of a text that annotator and encoder read, and whether more was written."""
    settings = config["annotator"]
    return excerpt(text, min(settings["read_characters"], characters), settings.get("reading", "head"))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
