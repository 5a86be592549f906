"""Builds `pretraining_pool`: an index of the source files, one row for every row in them. No text is copied.

One pass over the files, each file on its own: a worker writes the file's part of the index, with every document's
split, and the MinHash bands of the held-out documents beside it. The bands of all files become one file in the end, of
128 bytes for each held-out document, whose number is bounded. Memory holds 8,192 rows of the index and a file's bands,
so it grows neither with the pool nor with a file. One core indexes some 40,000 short documents/s; a held-out one
takes 0.2 ms more.
"""

import io
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self, TypeVar

import numpy as np
import orjson
import polars as pl

from datashop_assets.core.step import Resources, StepRun
from datashop_assets.documents.left_out import NO_FAULT, explained, passed_over, say_left_out
from datashop_assets.documents.nearness import HELDOUT_BANDS, Hashes, HeldoutBands
from datashop_assets.documents.reading import UNKNOWN_SOURCE, read_documents, unreadable
from datashop_assets.documents.results import (
    OK,
    OTHERS,
    PretrainingPoolConfig,
    PretrainingPoolResult,
    RejectExample,
    Size,
    UnreadableFile,
)
from datashop_assets.documents.shapes import row_shape
from datashop_assets.documents.sources import SOURCES, DocumentSource, Fields, PoolFile, SourceFile, source_listing
from datashop_assets.documents.split import Split, content_of, is_heldout
from datashop_assets.protocols.documents import UNREADABLE, Document, Reject, RejectReason
from datashop_assets.storage.shards import read_rows
from datashop_assets.storage.stage_writer import StageWriter

SCHEMA = {
    "row": pl.Int64,
    "id": pl.String,
    "source": pl.String,
    "status": pl.String,
    "detail": pl.String,
    "characters": pl.Int64,
    "bytes": pl.Int64,
    "content": pl.String,
    "split": pl.String,
}
EXAMPLES = 5  # of every reason for a reject
NAMED_SOURCES = 100  # the smaller ones are counted together
MET = 10_000  # names kept while counting; documents of sources that are met later are among the others
USUAL = Fields()
IndexRow = dict[str, Any]
Row = TypeVar("Row", bound=Mapping[str, Any])
Result = TypeVar("Result")


@dataclass(frozen=True)
class FileTask:
    """One source file to read: what travels to wherever that is done."""

    file: SourceFile
    fields: Fields
    heldout_fraction: float

    def documents(self) -> Iterator[Document | Reject]:
        return read_documents(self.file, self.fields)


def build(run: StepRun[PretrainingPoolConfig]) -> PretrainingPoolResult:
    """Writes `<shard>.parquet` for every source file, `sources.json` and `heldout_bands.npy`."""
    data, fraction = run.config.data, run.config.heldout_fraction
    listing = source_listing(data.uri, run.cache, run.data)
    tasks = [FileTask(file, data.fields, fraction) for file in listing.files]
    sources = [PoolFile.of(data, task.file).model_dump() for task in tasks]
    run.output.put_bytes(SOURCES, orjson.dumps(sources), identity=False)  # paths and times differ elsewhere
    missing = [task for task in tasks if not _is_indexed(run.output, task.file.shard)]
    files = FileCounts(data)
    for task in tasks:
        if task not in missing:
            files.add(task.file, _written_counts(run.output, task.file.shard))
    by_shard = {task.file.shard: task.file for task in tasks}
    for shard, counts in map_files(run.resources, "pool: index", partial(index_file, output=run.output), missing):
        files.add(by_shard[shard], counts)
    _merge_bands(run.output, [task.file.shard for task in tasks])
    counts = files.merged()
    result = PretrainingPoolResult(
        files=len(tasks),
        heldout_fraction=fraction,
        rows=counts.rows,
        documents=counts.documents,
        rejected=counts.rejected,
        rejects=counts.rejects,
        reject_examples=counts.examples,
        passed_over=passed_over(listing, files.empty),
        unreadable=files.unreadable,
        without_id=counts.without_id,
        by_split=counts.by_split,
        by_source=counts.by_source,
    )
    say_left_out(result)
    return result


def index_file(task: FileTask, output: StageWriter) -> tuple[str, "Counts"]:
    """Writes a file's part of the index, a row at a time, and the bands of its held-out documents, unless a worker that
    was lost afterwards had done so. Returns its shard's name, and what the file holds.
    """
    shard, counts, heldout = task.file.shard, Counts(), []
    if _is_indexed(output, shard):
        return shard, _written_counts(output, shard)

    def rows() -> Iterator[IndexRow]:
        for number, found in enumerate(task.documents()):
            row = index_row(number, found, task.heldout_fraction)
            if isinstance(found, Document) and row["split"] == Split.HELDOUT:
                heldout.append(HeldoutBands.of([found.text]).keys)
            yield row

    output.write_rows(f"{shard}.parquet", counts.counting(shard, rows()), SCHEMA)
    output.put_bytes(_bands_of(shard), HeldoutBands.merged(heldout).to_bytes())
    return shard, counts


def index_row(number: int, found: Document | Reject, heldout_fraction: float) -> IndexRow:
    """What the index says of one row; of a reject only its reason and detail."""
    if isinstance(found, Reject):
        return dict.fromkeys(SCHEMA) | {"row": number, "status": found.reason, "detail": found.detail}
    data = found.text.encode()
    content = content_of(data)
    return {
        "row": number,
        "id": found.id,
        "source": found.source,
        "status": OK,
        "detail": "",
        "characters": len(found.text),
        "bytes": len(data),
        "content": content,
        "split": (Split.HELDOUT if is_heldout(content, heldout_fraction) else Split.TRAIN).value,
    }


def map_files(
    resources: Resources, name: str, function: Callable[[FileTask], tuple[str, Result]], tasks: Sequence[FileTask]
) -> Iterator[tuple[str, Result]]:
    """Yields `(shard, result)` for every file, in any order, with a bar of the bytes that are read."""
    sizes = {task.file.shard: task.file.bytes for task in tasks}
    results = resources.compute.map(function, tasks) if resources.compute else map(function, tasks)
    with resources.progress.bar(name, sum(sizes.values()), "B") as bar:
        for shard, result in results:
            yield shard, result
            bar.advance(sizes[shard])


def _is_indexed(output: StageWriter, shard: str) -> bool:
    """Whether a file's part was written whole, by a run that was killed or a worker that was lost."""
    written = output.finished(HELDOUT_BANDS) or output.finished(_bands_of(shard))
    return written and output.finished(f"{shard}.parquet")


def _merge_bands(output: StageWriter, shards: Sequence[str]) -> None:
    if not output.finished(HELDOUT_BANDS):
        parts = [_load(output.folder.read(_bands_of(shard))) for shard in shards]
        output.put_bytes(HELDOUT_BANDS, HeldoutBands.merged(parts).to_bytes())
    for shard in shards:
        output.remove(_bands_of(shard))


def _bands_of(shard: str) -> str:
    return f"{shard}.bands.npy"


def _load(data: bytes) -> Hashes:
    keys: Hashes = np.load(io.BytesIO(data), allow_pickle=False)
    return keys


def _written_counts(output: StageWriter, shard: str) -> "Counts":
    with output.folder.open(f"{shard}.parquet") as file:
        return Counts.of(shard, read_rows(f"{shard}.parquet", file))


@dataclass
class FileCounts:
    """The counts of a source's files, each looked at when it comes."""

    data: DocumentSource
    files: list[SourceFile] = field(default_factory=list)
    unreadable: list[UnreadableFile] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)  # names of files without a row
    parts: "dict[str, Counts]" = field(default_factory=dict)

    def add(self, file: SourceFile, counts: "Counts") -> None:
        """Raises `UnreadableFileError` at a file that cannot be read as a whole, unless the prompt skips such files."""
        if (cause := counts.cause) is not None:
            if not self.data.skips_unreadable:
                raise unreadable(file, self.data.uri, cause)
            self.unreadable.append(UnreadableFile(name=file.name, bytes=file.bytes, cause=cause))
        elif not counts.rows:
            self.empty.append(file.name)
        self.files.append(file)
        self.parts[file.shard] = counts

    def merged(self) -> "Counts":
        """All of them, by the order of the shards' names.

        Raises `ValueError` where no row is a document, or none has a field that the prompt names.
        """
        self.unreadable.sort(key=lambda one: one.name)
        counts, data = Counts.merged(self.parts[shard] for shard in sorted(self.parts)), self.data
        if not counts.documents:
            why = [one.cause for one in self.unreadable] or explained(counts.rejects, counts.examples)
            why = why or ["its files are empty; correct the path or glob, or fetch them again"]
            raise ValueError(f"none of the {counts.rows} rows of {data.uri!r} is a document: {'; '.join(why[:5])}")
        for name, given, usual, found in (
            ("id_field", data.id_field, USUAL.id, counts.without_id < counts.documents),
            ("source_field", data.source_field, USUAL.source, set(counts.by_source) != {UNKNOWN_SOURCE}),
        ):
            if given != usual and not found:
                raise ValueError(
                    f"{name} is {given!r}, which no document of {data.uri!r} has: {self._fields()}; "
                    "correct or remove it"
                )
        return counts

    def _fields(self) -> str:
        """The fields of a document."""
        found = (one for file in self.files for one in read_documents(file, self.data.fields))
        return row_shape(next(one for one in found if isinstance(one, Document)).fields, hint=False)


@dataclass
class Counts:
    """Counts of one shard, or of many: small enough to be a step's result however large the pool."""

    rows: int = 0
    without_id: int = 0
    by_source: dict[str, dict[Split, Size]] = field(default_factory=dict)
    rejects: dict[RejectReason, int] = field(default_factory=dict)
    examples: list[RejectExample] = field(default_factory=list)

    @classmethod
    def of(cls, shard: str, rows: Iterable[Mapping[str, Any]]) -> Self:
        counts = cls()
        deque(counts.counting(shard, rows), maxlen=0)
        return counts

    @classmethod
    def merged(cls, parts: Iterable[Self]) -> Self:
        """The sum of `parts`, whose order decides which examples are shown."""
        total = cls()
        for part in parts:
            total.rows += part.rows
            total.without_id += part.without_id
            for source, splits in part.by_source.items():
                for split, size in splits.items():
                    total._add(source, split, size)
            for example in part.examples:
                total._show(example)
            total.rejects = dict(Counter(total.rejects) + Counter(part.rejects))
        return total._shortened()

    @property
    def by_split(self) -> dict[Split, Size]:
        total: dict[Split, Size] = {}
        for splits in self.by_source.values():
            for split, size in splits.items():
                total[split] = total.get(split, Size()) + size
        return total

    @property
    def documents(self) -> int:
        return sum(size.documents for size in self.by_split.values())

    @property
    def rejected(self) -> int:
        return sum(self.rejects.values())

    def counting(self, shard: str, rows: Iterable[Row]) -> Iterator[Row]:
        """The same rows, counted as they pass. Memory does not grow with them."""
        for row in rows:
            self.rows += 1
            if row["content"] is not None:
                size = Size(1, row["characters"], row["bytes"])
                self._add(row["source"], Split(row["split"]), size)
                self.without_id += row["id"] == f"{shard}:{row['row']}"
            else:
                reason = row["status"]
                self.rejects[reason] = self.rejects.get(reason, 0) + 1
                self._show(RejectExample(reason=reason, place=f"{shard} row {row['row']}", detail=row["detail"]))
            yield row
        self._shortened()

    @property
    def cause(self) -> str | None:
        """Why the file that these are the counts of cannot be read as a whole; None where it can.

        Either it goes wrong somewhere, or it has rows and none is a document.
        """
        wrong = [reason for reason in self.rejects if reason not in NO_FAULT]
        if UNREADABLE in wrong:
            return next(one.detail for one in self.examples if one.reason == UNREADABLE)
        if self.documents or not wrong:
            return None
        return f"none of its {self.rows:,} rows is a document: {'; '.join(explained(self.rejects, self.examples))}"

    def _add(self, source: str, split: Split, size: Size) -> None:
        splits = self.by_source.setdefault(self._counted_as(source), {})
        splits[split] = splits[split] + size if split in splits else size

    def _counted_as(self, source: str) -> str:
        return source if source in self.by_source or len(self.by_source) < MET else OTHERS

    def _show(self, example: RejectExample) -> None:
        if sum(shown.reason == example.reason for shown in self.examples) < EXAMPLES:
            self.examples.append(example)

    def _shortened(self) -> Self:
        """Counts all but the largest sources together."""
        sizes = {
            source: sum(size.documents for size in splits.values())
            for source, splits in self.by_source.items()
            if source != OTHERS
        }
        for source in sorted(sizes, key=lambda name: (-sizes[name], name))[NAMED_SOURCES:]:
            for split, size in self.by_source.pop(source).items():
                self._add(OTHERS, split, size)
        self.rejects = dict(sorted(self.rejects.items()))
        return self
