"""The held-out documents that the comparison is measured on.

Target documents are those that the prompt names, else held-out ones with its gold labels, else held-out ones that the
annotator scores high. General documents are other held-out ones. The encoder, whose choice is on trial, has no say.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Any

import polars as pl

from datashop_assets.core.step import Metrics, OpenRun
from datashop_assets.documents.embedded import load_gold
from datashop_assets.documents.pool import pool_shards, read_index
from datashop_assets.documents.reading import fields_of, read_documents
from datashop_assets.documents.sources import source_files
from datashop_assets.documents.split import Split, content_of
from datashop_assets.evaluation.asking import annotator_choice
from datashop_assets.protocols.documents import Document
from datashop_assets.storage.digests import keyed_hash
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.trained_lm.draws import Draw

TARGETS = "targets.parquet"
SCHEMA = {
    "shard": pl.String,  # of the pool; null where the document is not in the pool
    "row": pl.Int64,
    "id": pl.String,
    "kind": pl.String,
    "source": pl.String,
    "text": pl.String,  # only of documents that are not in the pool
}
Row = dict[str, Any]


class Kind(StrEnum):
    TARGET = "target"
    GENERAL = "general"


def build(run: OpenRun) -> Metrics:
    """Writes `targets.parquet`. Raises `ValueError` where there is no target document, saying what to change."""
    if run.config["targets"]:
        origin, (rows, facts) = "given", _given(run)
    elif run.config["gold"]:
        origin, (rows, facts) = "gold", _by_gold(run)
    else:
        origin, (rows, facts) = "annotator", _by_annotator(run)
    counts = Counter(row["kind"] for row in rows)
    if not counts[Kind.TARGET]:
        raise ValueError(
            f"no target document to compare on ({origin}: {facts}); correct evaluation.targets or evaluation.gold, "
            "or raise heldout_fraction"
        )
    run.output.write_rows(TARGETS, rows, SCHEMA)
    sources = Counter((str(row["kind"]), row["source"]) for row in rows)
    return {
        "targets_from": origin,
        "target_documents": counts[Kind.TARGET],
        "general_documents": counts[Kind.GENERAL],
        "by_source": {f"{kind}: {source}": count for (kind, source), count in sorted(sources.items())},
        **facts,
    }


def _given(run: OpenRun) -> tuple[list[Row], Metrics]:
    """Documents that the prompt names. Those that the pool holds too are left out, unless it holds them out."""
    pool, data = run.inputs["pretraining_pool"], run.config["targets"]["data"]
    draw: Draw[Document] = Draw(run.config["target_documents"])
    rejected = 0
    for file in source_files(data["uri"], run.cache):
        for number, found in enumerate(read_documents(file, fields_of(data))):
            if isinstance(found, Document):
                draw.offer(keyed_hash("target", f"{content_of(found.text)} {file.shard} {number}"), 1, found)
            else:
                rejected += 1
    documents = {content_of(document.text): document for _, document in draw.keyed()}
    seen = {
        row["content"]
        for shard in pool_shards(pool)
        for row in read_index(pool, shard)
        if row["content"] in documents and row["split"] != Split.HELDOUT
    }
    targets = [_row(Kind.TARGET, document) for content, document in documents.items() if content not in seen]
    general = _drawn(pool, Kind.GENERAL, run.config["general_documents"], lambda row: row["content"] not in documents)
    return targets + general, {"in_training_part": len(seen), "targets_rejected": rejected}


def _by_gold(run: OpenRun) -> tuple[list[Row], Metrics]:
    """Held-out documents by gold label; general ones are all that have another label, or none."""
    pool, wanted = run.inputs["pretraining_pool"], frozenset(run.config["gold"])
    labels = load_gold(run.cache, run.config["gold_uri"])
    if not labels:
        raise ValueError(
            f"evaluation.gold is {sorted(wanted)}, but the pool {run.config['gold_uri']!r} has no gold labels; "
            "name documents in evaluation.targets, or remove evaluation.gold"
        )

    def is_target(row: Row) -> bool:
        return labels.get(row["id"]) in wanted

    targets = _drawn(pool, Kind.TARGET, run.config["target_documents"], is_target)
    general = _drawn(pool, Kind.GENERAL, run.config["general_documents"], lambda row: not is_target(row))
    return targets + general, {"gold": sorted(wanted)}


def _by_annotator(run: OpenRun) -> tuple[list[Row], Metrics]:
    """Held-out documents that the annotator is asked about now; what it did not score is left out and counted."""
    pool, config = run.inputs["pretraining_pool"], run.config
    asked = _drawn(pool, Kind.GENERAL, config["target_documents"] + config["general_documents"], lambda _: True)
    scores = annotator_choice(run, pool, {(row["shard"], row["row"]) for row in asked})
    rows = [
        {**row, "kind": Kind.TARGET if score >= config["positive_from"] else Kind.GENERAL}
        for row in asked
        if (score := scores[row["shard"], row["row"]]) is not None
    ]
    return rows, {"asked": len(asked), "without_score": len(asked) - len(rows)}


def _drawn(pool: StageFolder, kind: Kind, wanted: int, accepted: Callable[[Row], bool]) -> list[Row]:
    """At most `wanted` held-out documents drawn at random among those accepted, in pool order."""
    draw: Draw[tuple[int, Row]] = Draw(wanted)
    for number, (shard, row) in enumerate(_heldout(pool)):
        if accepted(row):
            key = keyed_hash(f"evaluation {kind}", f"{row['content']} {shard} {row['row']}")
            chosen = {"shard": shard, "row": row["row"], "id": row["id"], "kind": kind, "source": row["source"]}
            draw.offer(key, 1, (number, {**chosen, "text": None}))
    return [row for _, row in sorted((item for _, item in draw.keyed()), key=lambda item: item[0])]


def _heldout(pool: StageFolder) -> Iterator[tuple[str, Row]]:
    for shard in pool_shards(pool):
        yield from ((shard, row) for row in read_index(pool, shard) if row["split"] == Split.HELDOUT)


def _row(kind: Kind, document: Document) -> Row:
    named = {"id": document.id, "kind": kind, "source": document.source, "text": document.text}
    return {"shard": None, "row": None, **named}
