"""Builds `annotation_sample`: documents to be scored, drawn at random from any source, none of them near evaluation.

Texts come up in the order of a keyed hash of their content, so that the draw depends on no order of rows or files, a
larger sample holds every smaller one, and its beginning is itself a random sample. A text that is held out does not
come up. One that is near a held-out document of the pool is left out, and the next one takes its place. Ids may repeat,
as those do that begin again in every file: of the documents drawn the first keeps the id, and the next ones are called
by id and text, so that a sample of 400 has 400 and every id stands for one of them.

One pass over the files finds the texts that come up: those wanted, and a quarter more in case some are left out. Where
that is not enough, they are read again for twice as many. Memory holds twice as many texts as come up.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

import polars as pl

from datashop_assets.core.step import StepRun
from datashop_assets.documents.index import Counts, FileCounts, FileTask, IndexRow, index_row, map_files
from datashop_assets.documents.left_out import passed_over, say_drawn, say_left_out
from datashop_assets.documents.nearness import HeldoutBands
from datashop_assets.documents.results import (
    AnnotationSampleConfig,
    AnnotationSampleResult,
    PretrainingPoolConfig,
    PretrainingPoolResult,
    Size,
)
from datashop_assets.documents.sources import source_listing
from datashop_assets.documents.split import Split
from datashop_assets.protocols.documents import Document
from datashop_assets.storage.digests import keyed_hash

SAMPLE = "sample.parquet"
SCHEMA = {"id": pl.String, "text": pl.String, "source": pl.String, "content": pl.String}
SPARE = 1000  # texts that come up beyond a quarter more than are wanted
SLACK = 1000  # candidates beyond twice as many as come up before they are sorted out


@dataclass(frozen=True, slots=True, order=True)
class Candidate:
    """A document in the order of the draw. Of documents with one text the smallest id is taken."""

    draw: int
    content: str
    id: str
    source: str
    text: str = field(compare=False)

    @classmethod
    def of(cls, document: Document, content: str) -> "Candidate":
        return cls(keyed_hash("sample", content), content, document.id, document.source, document.text)


@dataclass(frozen=True, slots=True)
class DrawnSample:
    documents: list[Candidate]
    near_heldout: int  # texts that came up before the last document drawn


def build(run: StepRun[AnnotationSampleConfig]) -> AnnotationSampleResult:
    """Writes `sample.parquet`. Raises `ValueError` where no row of the source is a document."""
    pool, data, wanted = run.input(PretrainingPoolResult), run.config.data, run.config.documents
    fraction, heldout = pool.result.heldout_fraction, HeldoutBands.load(pool)
    listing = source_listing(data.uri, run.cache, run.data)
    tasks = [FileTask(file, data.fields, fraction) for file in listing.files]
    count = wanted + wanted // 4 + SPARE
    while True:
        candidates, files = _come_up(run, tasks, count)
        drawn = draw(candidates, heldout, wanted)
        if len(drawn.documents) == wanted or len(candidates) < count:
            break
        count *= 2
    counts = files.merged()
    names = named_apart(drawn.documents)
    rows = (
        {"id": name, "text": one.text, "source": one.source, "content": one.content}
        for one, name in zip(drawn.documents, names, strict=True)
    )
    run.output.write_rows(SAMPLE, rows, SCHEMA)
    sizes, number = counts.by_split, len(drawn.documents)
    available = sizes.get(Split.TRAIN, Size()).documents
    renamed = [one for one, name in zip(drawn.documents, names, strict=True) if one.id != name]
    result = AnnotationSampleResult(
        documents=number,
        requested=wanted,
        available=available,
        heldout=sizes.get(Split.HELDOUT, Size()).documents,
        near_heldout=drawn.near_heldout,
        repeated=available - drawn.near_heldout - number if number < wanted else None,
        rejected=counts.rejected,
        rejects=counts.rejects,
        reject_examples=counts.examples,
        passed_over=passed_over(listing, files.empty),
        unreadable=files.unreadable,
        same_id=len(renamed),
        same_id_examples=[one.id for one in renamed[:5]],
        same_id_by_source=dict(sorted(Counter(one.source for one in renamed).items())),
    )
    if data != PretrainingPoolConfig.model_validate(pool.manifest.config).data:
        say_left_out(result)
    else:
        say_drawn(result)
    return result


def first_of_file(task: FileTask, count: int) -> tuple[str, tuple[list[Candidate], Counts]]:
    """A file's shard name, its first `count` texts that are not held out (or all that it has), and what it holds."""
    candidates: list[Candidate] = []

    def rows() -> Iterator[IndexRow]:
        for number, found in enumerate(task.documents()):
            row = index_row(number, found, task.heldout_fraction)
            if isinstance(found, Document) and row["split"] == Split.TRAIN:
                candidates.append(Candidate.of(found, row["content"]))
            if len(candidates) > 2 * count + SLACK:
                candidates[:] = first(candidates, count)
            yield row

    counts = Counts.of(task.file.shard, rows())
    return task.file.shard, (first(candidates, count), counts)


def first(candidates: Iterable[Candidate], count: int) -> list[Candidate]:
    """The first `count` in the order of the draw, no text twice. Those of parts are the first of the whole."""
    kept: list[Candidate] = []
    for one in sorted(candidates):
        if len(kept) == count:
            break
        if not kept or one.content != kept[-1].content:
            kept.append(one)
    return kept


def draw(candidates: Iterable[Candidate], heldout: HeldoutBands, wanted: int) -> DrawnSample:
    """The first `wanted` candidates that are not near a held-out document."""
    drawn: list[Candidate] = []
    near_heldout = 0
    for one in candidates:
        if len(drawn) == wanted:
            break
        if heldout.near([one.text]) == [True]:
            near_heldout += 1
        else:
            drawn.append(one)
    return DrawnSample(drawn, near_heldout)


def named_apart(documents: Iterable[Candidate]) -> list[str]:
    """The ids of documents in the order of the draw; of one whose id was drawn already, id and text's digest."""
    names: dict[str, None] = {}
    for one in documents:
        name = one.id
        while name in names:
            name = f"{name}#{one.content[:12]}"
        names[name] = None
    return list(names)


def _come_up(
    run: StepRun[AnnotationSampleConfig], tasks: list[FileTask], count: int
) -> tuple[list[Candidate], FileCounts]:
    candidates: list[Candidate] = []
    counts, by_shard = FileCounts(run.config.data), {task.file.shard: task.file for task in tasks}
    for shard, (found, counted) in map_files(run.resources, "sample", partial(first_of_file, count=count), tasks):
        candidates = first([*candidates, *found], count)
        counts.add(by_shard[shard], counted)
    return candidates, counts
