"""Builds `annotation_sample`: documents to be scored, drawn at random from any source, none of them held out.

The draw is the `documents` smallest keyed hashes of content, so that it depends on no order, a larger sample holds
every smaller one, and its beginning is itself a random sample. A text, or an id, is drawn once however often it
stands in the source. One pass over the files; memory holds twice the sample.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import polars as pl

from datashop_assets.core.step import OpenRun
from datashop_assets.documents.index import Counts, IndexRow, found_documents, index_row, map_files
from datashop_assets.documents.nearness import HeldoutBands
from datashop_assets.documents.reading import fields_of
from datashop_assets.documents.sources import source_files
from datashop_assets.documents.split import FileTask, Split, SplitRule, content_of
from datashop_assets.protocols.documents import Document
from datashop_assets.storage.digests import keyed_hash

SAMPLE = "sample.parquet"
SCHEMA = {"id": pl.String, "text": pl.String, "source": pl.String, "content": pl.String}
SLACK = 1000  # candidates beyond twice the sample before they are sorted out


@dataclass(frozen=True, slots=True, order=True)
class Candidate:
    """A document that may be drawn, ordered by its draw; place decides between equal texts."""

    draw: int
    shard: str
    row: int
    document: Document = field(compare=False)


def build(run: OpenRun) -> dict[str, Any]:
    """Writes `sample.parquet`; returns how many were drawn, from how many, and what was excluded and why."""
    pool, data, wanted = run.inputs["pretraining_pool"], run.config["data"], run.config["documents"]
    rule = SplitRule(pool.metrics["heldout_fraction"], HeldoutBands.load(pool))
    tasks = [FileTask(file, fields_of(data), rule) for file in source_files(data["uri"], run.cache)]
    drawn: list[Candidate] = []
    counts: dict[str, Counts] = {}
    for shard, (candidates, counted) in map_files(run.resources, "sample", partial(draw, wanted=wanted), tasks):
        drawn, counts[shard] = smallest([*drawn, *candidates], wanted), counted
    run.output.write_rows(SAMPLE, (_row(one.document) for one in drawn), SCHEMA)
    found = found_documents(data, Counts.merged(counts[shard] for shard in sorted(counts)))
    return _metrics(found, wanted, len(drawn))


def draw(run: FileTask, wanted: int) -> tuple[str, tuple[list[Candidate], Counts]]:
    """A file's shard name, its `wanted` candidates (fewer where it has fewer), and what it holds."""
    candidates: list[Candidate] = []

    def rows() -> Iterator[IndexRow]:
        for row, found in enumerate(run.documents()):
            entry = index_row(row, found, run.rule)
            if isinstance(found, Document) and entry["split"] == Split.TRAIN:
                candidates.append(Candidate(keyed_hash("sample", entry["content"]), run.file.shard, row, found))
            if len(candidates) > 2 * wanted + SLACK:
                candidates[:] = smallest(candidates, wanted)
            yield entry

    counts = Counts.of(run.file.shard, rows())
    return run.file.shard, (smallest(candidates, wanted), counts)


def smallest(candidates: Iterable[Candidate], wanted: int) -> list[Candidate]:
    """The first `wanted` in order of their draw, one for each text and for each id."""
    texts: set[int] = set()
    ids: set[str] = set()
    kept: list[Candidate] = []
    for one in sorted(candidates):
        if len(kept) < wanted and one.draw not in texts and one.document.id not in ids:
            kept.append(one)
        texts.add(one.draw)
        ids.add(one.document.id)
    return kept


def _row(document: Document) -> dict[str, Any]:
    content = content_of(document.text)
    return {"id": document.id, "text": document.text, "source": document.source, "content": content}


def _metrics(found: Mapping[str, Any], wanted: int, drawn: int) -> dict[str, Any]:
    splits = {split: numbers["documents"] for split, numbers in found["by_split"].items()}
    available = splits.get(Split.TRAIN, 0)
    return {
        "documents": drawn,
        "asked": wanted,
        "available": available,
        "repeated": available - drawn if drawn < wanted else None,  # texts and ids once more; unknown if some are left
        "excluded": {str(split): splits.get(split, 0) for split in (Split.HELDOUT, Split.NEAR_HELDOUT)},
        **{name: found[name] for name in ("rejected", "rejects", "reject_examples")},
    }
