"""Rows in files: `*.jsonl.zst` for documents with whatever fields they have, `*.parquet` for tables with a schema.

Both are written and read in a stream: memory holds one batch of rows, however large the shard.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from typing import IO, Any, TypeAlias

import orjson
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from datashop_assets.storage import exact_json
from datashop_assets.storage.digests import ColumnsDigest, RowsDigest

BATCH_ROWS = 8192
ZSTD_LEVEL = 3  # 10 times the speed of level 19 for some 15% more bytes
Row = Mapping[str, Any]
Schema: TypeAlias = Mapping[str, Any] | pa.Schema  # column -> polars dtype, or Arrow's schema for documents
DOCUMENT_ROWS = 512  # of documents, which may be long, in memory and in a row group
COLUMN_BUFFER = 1 << 20  # bytes of a column's file that are in memory while a Parquet file is read


def write_rows(
    name: str, file: IO[bytes], rows: Iterable[Row], schema: Schema | None, volatile: Collection[str] = ()
) -> tuple[int, str]:
    """Writes `rows` in the format that `name` ends in. Returns how many there were, and the digest of them.

    Columns in `volatile` are written and not digested.
    """
    digest, count = RowsDigest(), 0

    def counted() -> Iterator[Row]:
        nonlocal count
        for row in rows:
            digest.add({key: row[key] for key in row if key not in volatile} if volatile else row)
            count += 1
            yield row

    if name.endswith(".jsonl.zst"):
        _write_jsonl(file, counted())
    elif name.endswith(".parquet") and schema is not None:
        _write_parquet(file, counted(), schema)
    else:
        raise ValueError(f"cannot write {name!r}: a shard is *.jsonl.zst, or *.parquet with a schema")
    return count, digest.hexdigest()


def write_frames(file: IO[bytes], frames: Iterable[pl.DataFrame], schema: Schema) -> tuple[int, str]:
    """Writes a Parquet table from frames of its columns. Returns how many rows there were, and the digest of them.

    Some ten times the speed of rows, and another digest: of columns, whatever the frames' sizes.
    """
    digest, count = ColumnsDigest(), 0
    arrow = _arrow_schema(schema)
    with pq.ParquetWriter(file, arrow, compression="zstd") as writer:
        for frame in rechunked(frames, BATCH_ROWS):
            digest.add(frame)
            count += len(frame)
            writer.write_table(frame.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(arrow))
    digest.add(pl.DataFrame(schema=schema))
    return count, digest.hexdigest()


def read_frames(file: Any, columns: Collection[str], size: int = BATCH_ROWS) -> Iterator[pl.DataFrame]:
    """Columns of a Parquet file in frames of `size` rows, the last one shorter: one frame is in memory."""
    batches = open_parquet(file).iter_batches(BATCH_ROWS, columns=list(columns))
    return rechunked((pl.DataFrame(pl.from_arrow(batch)).select(columns) for batch in batches), size)


def open_parquet(file: Any) -> pq.ParquetFile:
    """A Parquet file that is read `COLUMN_BUFFER` at a time: left to itself, pyarrow fetches all of it beforehand."""
    return pq.ParquetFile(file, pre_buffer=False, buffer_size=COLUMN_BUFFER)


def rechunked(frames: Iterable[pl.DataFrame], size: int) -> Iterator[pl.DataFrame]:
    """The same rows in frames of `size`, the last one shorter; none is empty."""
    waiting: list[pl.DataFrame] = []
    for frame in frames:
        waiting.append(frame)
        while sum(map(len, waiting)) >= size:
            together = pl.concat(waiting)
            yield together[:size]
            waiting = [together[size:]]
    if rest := [frame for frame in waiting if len(frame)]:
        yield pl.concat(rest)


def read_rows(name: str, file: IO[bytes]) -> Iterator[dict[str, Any]]:
    """The rows of a shard, in order."""
    if name.endswith(".jsonl.zst"):
        yield from _read_jsonl(file)
    else:
        for batch in open_parquet(file).iter_batches(BATCH_ROWS):
            yield from batch.to_pylist()


def columns_of(schema: Schema) -> dict[str, str]:
    """A schema as a manifest records it."""
    if isinstance(schema, pa.Schema):
        return {field.name: str(field.type) for field in schema}
    return {name: str(dtype) for name, dtype in schema.items()}


def _write_jsonl(file: IO[bytes], rows: Iterable[Row]) -> None:
    with zstandard.ZstdCompressor(ZSTD_LEVEL).stream_writer(file, closefd=False) as compressed:
        for row in rows:
            compressed.write(exact_json.dumps(row, orjson.OPT_APPEND_NEWLINE))


def _read_jsonl(file: IO[bytes]) -> Iterator[dict[str, Any]]:
    with zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True, closefd=False) as plain:
        rest = b""
        while block := plain.read(1 << 20):
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                yield exact_json.loads(line)


def _write_parquet(file: IO[bytes], rows: Iterator[Row], schema: Schema) -> None:
    arrow, size = _arrow_schema(schema), DOCUMENT_ROWS if isinstance(schema, pa.Schema) else BATCH_ROWS
    with pq.ParquetWriter(file, arrow, compression="zstd") as writer:
        while batch := list(islice(rows, size)):
            writer.write_table(pa.Table.from_pylist(batch, schema=arrow))


def _arrow_schema(schema: Schema) -> pa.Schema:
    if isinstance(schema, pa.Schema):
        return schema
    return pl.DataFrame(schema=schema).to_arrow(compat_level=pl.CompatLevel.oldest()).schema
