"""Reading a pool that has been indexed: the documents from the source files, each checked against the index."""

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

import orjson

from datashop_assets.datasets import EMBEDDED
from datashop_assets.protocols.documents import Document, Reject
from datashop_assets.sources.embedded import embedded_pool
from datashop_assets.sources.files import SourceFile
from datashop_assets.sources.pool_index import OK, SOURCES
from datashop_assets.sources.readers import fields_of, read_documents
from datashop_assets.sources.split import content_of
from datashop_assets.storage.stage_folder import StageFolder


class ChangedPoolError(Exception):
    """A source file is not what it was when the pool was indexed. The message names shard and row."""


def pool_shards(pool: StageFolder) -> list[str]:
    """The names of a pool's shards, in order."""
    return [source["shard"] for source in _sources(pool)]


def read_index(pool: StageFolder, shard: str) -> Iterator[dict[str, Any]]:
    """The index rows of one shard's documents, in order, rejects left out: everything about them but the text."""
    return (row for row in pool.rows(f"{shard}.parquet") if row["status"] == OK)


def read_pool(pool: StageFolder, shard: str) -> Iterator[tuple[int, Document]]:
    """The documents of one shard in order, each with its row. Raises `ChangedPoolError` where a file has changed."""
    [source] = [source for source in _sources(pool) if source["shard"] == shard]
    file = SourceFile(shard, source["name"], _uri(source), source["bytes"], version="")
    pairs = zip_longest(pool.rows(f"{shard}.parquet"), read_documents(file, fields_of(source)))
    for row, (entry, found) in enumerate(pairs):
        if not _agrees(entry, found):
            raise ChangedPoolError(
                f"{source['uri']} is not the file that was indexed: row {row} of shard {shard} differs; put the old "
                f"file back, or remove {pool.uri} and materialize pretraining_pool again"
            )
        if isinstance(found, Document):
            yield row, found


def _agrees(entry: Mapping[str, Any] | None, found: Document | Reject | None) -> bool:
    """Whether the index has this row, and has it as it was found."""
    if entry is None or found is None:
        return False
    return bool(entry["content"] == content_of(found.text) if isinstance(found, Document) else entry["content"] is None)


def _sources(pool: StageFolder) -> list[dict[str, Any]]:
    return orjson.loads(pool.file(SOURCES).read_bytes())  # type: ignore[no-any-return]


def _uri(source: Mapping[str, Any]) -> str:
    """Where the file is. The embedded pool is made again where its cache was cleared."""
    uri = str(source["uri"])
    if source["pool"] == EMBEDDED:
        embedded_pool(Path(uri.removeprefix("file://")).parents[2])
    return uri
