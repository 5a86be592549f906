"""Reading a pool that has been indexed: the documents from the source files, each checked against the index."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter

from datashop_assets.core.step import Resources
from datashop_assets.data_packages import installed_data
from datashop_assets.datasets import EMBEDDED
from datashop_assets.documents.embedded import embedded_pool
from datashop_assets.documents.json_rows import Wanted
from datashop_assets.documents.reading import read_wanted
from datashop_assets.documents.results import OK
from datashop_assets.documents.sources import SOURCES, PoolFile, is_as_listed
from datashop_assets.documents.split import content_of
from datashop_assets.protocols.documents import Document, Reject
from datashop_assets.storage.shards import read_frames
from datashop_assets.storage.stage_folder import StageFolder

Job = TypeVar("Job")
Result = TypeVar("Result")
MISSING = object()  # beyond the end of the index


class ChangedPoolError(Exception):
    """A source file is not what it was when the pool was indexed. The message names shard and row."""


def pool_shards(pool: StageFolder) -> list[str]:
    """The names of a pool's shards, in order."""
    return [source.shard for source in _sources(pool)]


def read_index(pool: StageFolder, shard: str) -> Iterator[dict[str, Any]]:
    """The index rows of one shard's documents, in order, rejects left out: everything about them but the text."""
    return (row for row in pool.rows(f"{shard}.parquet") if row["status"] == OK)


def read_pool(pool: StageFolder, shard: str) -> Iterator[tuple[int, Document]]:
    """The documents of one shard in order, each with its row. Raises `ChangedPoolError` where a file has changed."""
    return _read(pool, shard, None)


def read_chosen(pool: StageFolder, shard: str, rows: Iterable[int]) -> Iterator[tuple[int, Document]]:
    """The documents in these rows, which ascend. The others are counted and not read, unless the file has another size
    or version than when it was indexed: then every row is compared, so that no change goes unnoticed.
    """
    ascending = iter(rows)
    following = next(ascending, None)

    def wanted(row: int) -> bool:
        nonlocal following
        found = row == following
        if found:
            following = next(ascending, None)
        return found

    return _read(pool, shard, wanted)


def read_places(pool: StageFolder, places: Iterable[tuple[str, int]]) -> dict[tuple[str, int], Document]:
    """The documents at these places, each a shard and a row, all in memory; a shard is read once."""
    rows: dict[str, set[int]] = {}
    for shard, row in places:
        rows.setdefault(shard, set()).add(row)
    return {
        (shard, row): document
        for shard, wanted in rows.items()
        for row, document in read_chosen(pool, shard, sorted(wanted))
    }


def map_shards(
    resources: Resources, name: str, function: Callable[[Job], Result], jobs: Sequence[Job]
) -> Iterator[Result]:
    """Yields the result of every job, one a shard, in any order, with a bar of the shards."""
    with resources.progress.bar(name, len(jobs), "shards") as bar:
        for result in resources.compute.map(function, jobs) if resources.compute else map(function, jobs):
            yield result
            bar.advance()


def _read(pool: StageFolder, shard: str, wanted: Wanted | None) -> Iterator[tuple[int, Document]]:
    [source] = [source for source in _sources(pool) if source.shard == shard]
    if source.pool == EMBEDDED:  # made again where its cache was cleared, or on another machine of a cluster
        embedded_pool(Path(source.uri.removeprefix("file://")).parents[2], installed_data())
    file = source.file
    read = wanted if wanted and is_as_listed(file) else None
    contents, row = _contents(pool, shard), 0
    for found in read_wanted(file, source.fields, read):
        if isinstance(found, int):
            known = len(list(islice(contents, found)))
            row += known
            if known < found:
                raise _changed(pool, source, row)
            continue
        if not _agrees(next(contents, MISSING), found):
            raise _changed(pool, source, row)
        if isinstance(found, Document) and (read is wanted or wanted is None or wanted(row)):
            yield row, found
        row += 1
    if next(contents, MISSING) is not MISSING:
        raise _changed(pool, source, row)


def _changed(pool: StageFolder, source: PoolFile, row: int) -> ChangedPoolError:
    return ChangedPoolError(
        f"{source.uri} is not the file that was indexed: row {row} of shard {source.shard} differs; put the old "
        f"file back, or remove {pool.uri} and materialize pretraining_pool again"
    )


def _agrees(content: object, found: object) -> bool:
    """Whether the index says of a row what was found there."""
    if isinstance(found, Document):
        return bool(content == content_of(found.text))
    return content is None and isinstance(found, Reject)


def _contents(pool: StageFolder, shard: str) -> Iterator[str | None]:
    """The digest of every row's text; None of a reject."""
    for frame in read_frames(pool.file(f"{shard}.parquet"), ["content"]):
        yield from frame["content"].to_list()


def _sources(pool: StageFolder) -> list[PoolFile]:
    return TypeAdapter(list[PoolFile]).validate_json(pool.file(SOURCES).read_bytes())
