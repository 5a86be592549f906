"""Builds `pretraining_pool`: an index of the source files, one row for every row in them. No text is copied.

Two passes over the files, each file on its own: the first gathers the MinHash bands of the held-out documents, the
second writes the index with every document's split. Memory holds the bands and 8,192 rows of the index, so it grows
with the held-out documents (128 bytes each), not with the pool nor with a file. On one core a pass reads some 80,000
short documents/s and hashes 6,000.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Self, TypeVar

import numpy as np
import orjson
import polars as pl
from pydantic import BaseModel

from datashop_assets.core.step import OpenRun, Resources
from datashop_assets.documents.nearness import HELDOUT_BANDS, HeldoutBands
from datashop_assets.documents.reading import fields_of
from datashop_assets.documents.results import OK, OTHERS
from datashop_assets.documents.sources import SourceFile, source_files
from datashop_assets.documents.split import FileTask, SplitRule, content_of, heldout_bands
from datashop_assets.protocols.documents import Document, Reject
from datashop_assets.storage.shards import read_rows
from datashop_assets.storage.stage_writer import StageWriter
from datashop_assets.storage.writing import on_disk

SOURCES = "sources.json"
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
IndexRow = dict[str, Any]
EXAMPLES = 5  # of every reason
NAMED_SOURCES = 100  # named; the smaller ones are counted together, since a source field may hold a URL
MET = 10_000  # names kept while counting; documents of sources that are met later are among the others
Numbers = dict[str, int]
Row = TypeVar("Row", bound=Mapping[str, Any])
Result = TypeVar("Result")


class Counts(BaseModel):
    """Counts of one shard, or of many: small enough to be a stage's metrics however large the pool."""

    rows: int = 0
    by_source: dict[str, dict[str, Numbers]] = {}  # source -> split -> documents, characters, bytes
    rejects: dict[str, int] = {}
    examples: list[dict[str, str]] = []

    @classmethod
    def empty(cls) -> Self:
        return cls(by_source={}, rejects={}, examples=[])

    @classmethod
    def of(cls, shard: str, rows: Iterable[Mapping[str, Any]]) -> Self:
        counts = cls.empty()
        deque(counts.counting(shard, rows), maxlen=0)
        return counts

    def counting(self, shard: str, rows: Iterable[Row]) -> Iterator[Row]:
        """The same rows, counted as they pass. Memory does not grow with them."""
        for row in rows:
            self.rows += 1
            if row["content"] is not None:
                self._add(row["source"], row["split"], 1, row["characters"], row["bytes"])
            else:
                self._reject(row["status"], f"{shard} row {row['row']}", row["detail"])
            yield row
        self._shortened()

    @classmethod
    def merged(cls, parts: Iterable[Self]) -> Self:
        """The sum of `parts`, whose order decides which examples are shown."""
        total = cls.empty()
        for part in parts:
            total.rows += part.rows
            for source, splits in part.by_source.items():
                for split, numbers in splits.items():
                    total._add(source, split, numbers["documents"], numbers["characters"], numbers["bytes"])
            for example in part.examples:
                total._show(example)
            total.rejects = dict(Counter(total.rejects) + Counter(part.rejects))
        return total._shortened()

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        return cls.model_validate_json(data)

    def to_json(self) -> bytes:
        return self.model_dump_json().encode()

    def metrics(self) -> dict[str, Any]:
        splits: dict[str, Numbers] = {}
        for numbers in self.by_source.values():
            for split, found in numbers.items():
                _add_to(splits.setdefault(split, {}), found)
        return {
            "rows": self.rows,
            "documents": sum(found["documents"] for found in splits.values()),
            "rejected": sum(self.rejects.values()),
            "rejects": self.rejects,
            "reject_examples": self.examples,
            "by_split": splits,
            "by_source": self.by_source,
        }

    def _add(self, source: str, split: str, documents: int, characters: int, size: int) -> None:
        found = {"documents": documents, "characters": characters, "bytes": size}
        source = source if source in self.by_source or len(self.by_source) < MET else OTHERS
        _add_to(self.by_source.setdefault(source, {}).setdefault(split, {}), found)

    def _reject(self, reason: str, place: str, detail: str) -> None:
        self.rejects[reason] = self.rejects.get(reason, 0) + 1
        self._show({"reason": reason, "place": place, "detail": detail})

    def _show(self, example: dict[str, str]) -> None:
        if sum(shown["reason"] == example["reason"] for shown in self.examples) < EXAMPLES:
            self.examples.append(example)

    def _shortened(self) -> Self:
        named = self.by_source.keys() - {OTHERS}
        largest = sorted(named, key=lambda source: (-_documents(self.by_source[source]), source))
        for source in largest[NAMED_SOURCES:]:
            for split, found in self.by_source.pop(source).items():
                self._add(OTHERS, split, found["documents"], found["characters"], found["bytes"])
        self.rejects = dict(sorted(self.rejects.items()))
        return self


def _documents(splits: Mapping[str, Numbers]) -> int:
    return sum(found["documents"] for found in splits.values())


def _add_to(total: Numbers, found: Numbers) -> None:
    for name, number in found.items():
        total[name] = total.get(name, 0) + number


def build(run: OpenRun) -> dict[str, Any]:
    """Writes `<shard>.parquet` for every source file, `sources.json` and `heldout_bands.npy`; returns the counts."""
    data, fraction = run.config["data"], run.config["heldout_fraction"]
    files = source_files(data["uri"], run.cache)
    tasks = [FileTask(file, fields_of(data), SplitRule(fraction)) for file in files]
    known = _gather_bands(run, tasks)
    run.output.put_bytes(HELDOUT_BANDS, known.to_bytes())
    sources = [{**data, "pool": data["uri"], **_entry(file)} for file in files]
    run.output.put_bytes(SOURCES, orjson.dumps(sources), identity=False)  # paths and times differ elsewhere
    counts = _write_index(run, [replace(one, rule=SplitRule(fraction, known)) for one in tasks])
    return {"files": len(files), "heldout_fraction": fraction, **found_documents(data, counts)}


def found_documents(data: Mapping[str, Any], counts: Counts) -> dict[str, Any]:
    """The counts as metrics. Raises `ValueError` where no row is a document, which a wrong field name does."""
    metrics = counts.metrics()
    if not metrics["documents"]:
        raise ValueError(
            f"none of the {counts.rows} rows of {data['uri']!r} is a document ({counts.rejects}); "
            f"correct text_field, which is {data['text_field']!r}, in the prompt's data setting"
        )
    return metrics


def _entry(file: SourceFile) -> dict[str, Any]:
    return {field: getattr(file, field) for field in ("shard", "name", "uri", "bytes", "version")}


def index_file(run: FileTask, output: StageWriter) -> tuple[str, Counts]:
    """Writes a file's part of the index, a row at a time, unless a worker that was lost afterwards had done so. Returns
    its shard's name, and what the file holds.
    """
    if output.finished(f"{run.file.shard}.parquet"):
        return run.file.shard, _counts(output, run.file.shard)
    rows = (index_row(row, found, run.rule) for row, found in enumerate(run.documents()))
    counts, shard = Counts.empty(), run.file.shard
    output.write_rows(f"{shard}.parquet", counts.counting(shard, rows), SCHEMA)
    return shard, counts


def index_row(row: int, found: Document | Reject, rule: SplitRule) -> IndexRow:
    """What the index says of one row; of a reject only its reason and detail."""
    if isinstance(found, Reject):
        return dict.fromkeys(SCHEMA) | {"row": row, "status": found.reason, "detail": found.detail}
    content = content_of(found.text)
    return {
        "row": row,
        "id": found.id,
        "source": found.source,
        "status": OK,
        "detail": "",
        "characters": len(found.text),
        "bytes": len(found.text.encode()),
        "content": content,
        "split": str(rule.of(found.text, content)),
    }


def _gather_bands(run: OpenRun, tasks: list[FileTask]) -> HeldoutBands:
    """The bands of all held-out documents; each file's are kept in scratch for a build that is killed."""
    kept = {one.file.shard: run.output.scratch / f"{one.file.shard}.npy" for one in tasks}
    missing = [one for one in tasks if not kept[one.file.shard].exists()]
    for shard, found in map_files(run.resources, "pool: held-out documents", heldout_bands, missing):
        with on_disk(kept[shard]) as file:
            file.write(found.to_bytes())
    return HeldoutBands.merged([np.load(path) for path in kept.values()])


def _write_index(run: OpenRun, tasks: list[FileTask]) -> Counts:
    missing = [one for one in tasks if not run.output.finished(f"{one.file.shard}.parquet")]
    counted = dict(map_files(run.resources, "pool: index", partial(index_file, output=run.output), missing))
    shards = [one.file.shard for one in tasks]
    return Counts.merged(counted[shard] if shard in counted else _counts(run.output, shard) for shard in shards)


def _counts(output: StageWriter, shard: str) -> Counts:
    """Of a file whose index was written before this run."""
    with output.folder.open(f"{shard}.parquet") as file:
        return Counts.of(shard, read_rows(f"{shard}.parquet", file))


def map_files(
    tools: Resources, name: str, function: Callable[[FileTask], tuple[str, Result]], tasks: Sequence[FileTask]
) -> Iterator[tuple[str, Result]]:
    """Yields `(shard, result)` for every file, in any order, with a bar of the bytes that are read."""
    sizes = {task.file.shard: task.file.bytes for task in tasks}
    results = tools.compute.map(function, tasks) if tools.compute else map(function, tasks)
    with tools.progress.bar(name, sum(sizes.values()), "B") as bar:
        for shard, result in results:
            yield shard, result
            bar.advance(sizes[shard])
