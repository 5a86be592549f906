"""Documents of one source file, streamed: JSON lines, plain or compressed, and Parquet.

Every row becomes a `Document`, or a `Reject` with its reason and place, so that an item's position is its row; of rows
that are not wanted, the item is how many they are. Below, a row is a mapping or a `Broken` that says what is wrong.
A file that ends or goes wrong midway gives one last reject; a connection that fails raises, because the file may be
whole. pyarrow decompresses: it notices a truncated stream (the zstandard package does not) at 10 million short lines a
second. At most one line of 64 MB is in memory, or of a Parquet file one batch and 1 MB of each column, however large
its row groups.
"""

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import IO, Any

import fsspec
import orjson
import pyarrow as pa

from datashop_assets.documents.sources import FORMATS, Fields, SourceFile, suffix_of
from datashop_assets.protocols.documents import Document, Reject, RejectReason
from datashop_assets.storage.shards import open_parquet

LONGEST_LINE = 64 << 20  # bytes
BUFFER = 1 << 16  # bytes; what a truncated file may lose before its end
BATCH_ROWS = 256
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
UNKNOWN_SOURCE = "unknown"
LONGEST_DETAIL = 300  # characters; a detail may quote the row
NESTED = frozenset((dict, list))
DEEPEST = 250  # levels of a JSON value; orjson reads 1,024 and writes 254


@dataclass(frozen=True, slots=True)
class Broken:
    """A row that cannot be read."""

    reason: RejectReason
    detail: str = ""


Row = Mapping[str, Any] | Broken
Wanted = Callable[[int], bool]  # asked once for every row, in order


def fields_of(data: Mapping[str, Any]) -> Fields:
    return Fields(data["text_field"], data["id_field"], data["source_field"])


def read_documents(file: SourceFile, fields: Fields) -> Iterator[Document | Reject]:
    """One item for every row of the file, in order. A document without an id is called `<shard>:<row>`."""
    return (found for found in read_wanted(file, fields, None) if not isinstance(found, int))


def read_wanted(file: SourceFile, fields: Fields, wanted: Wanted | None) -> Iterator[Document | Reject | int]:
    """As `read_documents`, with the number of rows instead of those that are not wanted and follow each other."""
    position = 0
    for row in read_rows(file, wanted=wanted):
        if isinstance(row, int):
            yield row
            position += row
            continue
        found = row if isinstance(row, Broken) else _document(row, fields, f"{file.shard}:{position}")
        if isinstance(found, Broken):
            yield Reject(found.reason, f"{file.name} row {position}", found.detail[:LONGEST_DETAIL])
        else:
            yield found
        position += 1


def _document(row: Mapping[str, Any], fields: Fields, name: str) -> Document | Broken:
    text, identity, source = _value(row, fields.text), _value(row, fields.id), _value(row, fields.source)
    if text is None:
        return Broken("no text", f"no field {fields.text!r} among {sorted(row)[:10]}")
    if not isinstance(text, str):
        return Broken("text is not a string", f"{fields.text!r} is a {type(text).__name__}")
    if not text or text.isspace():
        return Broken("blank text")
    if identity is not None and (isinstance(identity, bool) or not isinstance(identity, str | int)):
        return Broken("id is not a string", f"{fields.id!r} is a {type(identity).__name__}")
    if source is not None and not isinstance(source, str):
        return Broken("source is not a string", f"{fields.source!r} is a {type(source).__name__}")
    return Document(name if identity in (None, "") else str(identity), text, source or UNKNOWN_SOURCE, row)


def _value(row: Mapping[str, Any], field: str) -> Any:
    """The value of a field, or of a nested one where no field has the whole name; None where there is none."""
    if field in row:
        return row[field]
    value: Any = row
    for part in field.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


class _Watched:
    """A file that remembers its own failure, to tell a bad connection from bad bytes."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.failure: Exception | None = None

    def read(self, size: int = -1) -> bytes:
        try:
            return self.file.read(size)
        except Exception as error:
            self.failure = error
            raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


def read_rows(file: SourceFile, longest_line: int = LONGEST_LINE, wanted: Wanted | None = None) -> Iterator[Row | int]:
    """The rows of a file, in order, and instead of rows that are not wanted how many of them follow each other.

    Raises what the connection to the file raises.
    """
    compression = FORMATS[suffix_of(file.name)]
    row = 0
    filesystem, path = fsspec.core.url_to_fs(file.uri)  # fsspec.open would take a '*' in a file's name for a glob
    with filesystem.open(path, "rb") as opened:
        watched = _Watched(opened)
        try:
            for found in (
                _parquet(watched, wanted) if compression is None else _lines(watched, compression, longest_line, wanted)
            ):
                yield found
                row += found if isinstance(found, int) else 1
        except (OSError, pa.ArrowException) as error:
            if watched.failure is not None:
                raise watched.failure from error
            after = f"after row {row - 1}" if row else "before the first row"
            yield Broken("truncated", f"truncated {after}: {error}")


def _lines(file: Any, compression: str, longest: int, wanted: Wanted | None) -> Iterator[Row | int]:
    raw = pa.PythonFile(file, mode="r")
    stream = pa.CompressedInputStream(raw, compression) if compression else raw
    with closing(io.BufferedReader(stream, BUFFER)) as lines:
        mark, row, passed = BYTE_ORDER_MARK, 0, 0
        while line := lines.readline(longest + 1):
            whole = line.endswith(b"\n") or len(line) <= longest
            if whole and wanted is not None and not wanted(row):
                passed += 1
            else:
                if passed:
                    yield passed
                    passed = 0
                yield _parse(line.removeprefix(mark)) if whole else _too_long(lines, len(line), longest)
            mark, row = b"", row + 1
        if passed:
            yield passed
        if compression and not row and not file.tell():  # also what holds no row has a header
            yield Broken("truncated", "truncated before the first row: the file is empty")


def _too_long(lines: io.BufferedReader, size: int, longest: int) -> Broken:
    return Broken("line too long", f"{_rest_of_line(lines, longest) + size} bytes, {longest} at most")


def _rest_of_line(lines: io.BufferedReader, step: int) -> int:
    """Reads on to the end of the line, in steps, and says how many bytes that took."""
    size = 0
    while part := lines.readline(step):
        size += len(part)
        if part.endswith(b"\n"):
            break
    return size


def _parse(line: bytes) -> Row:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return Broken(_what_is_wrong(line), str(error))
    if not isinstance(row, dict):
        return Broken("not an object", f"a JSON {type(row).__name__}")
    if (
        not NESTED.isdisjoint(map(type, row.values()))
        and line.count(b"{") + line.count(b"[") > DEEPEST
        and not _can_be_written(row)
    ):
        return Broken("nested too deep", f"a JSON value of over {DEEPEST} levels")
    return row


def _can_be_written(row: Mapping[str, Any]) -> bool:
    try:
        orjson.dumps(row)
    except TypeError:
        return False
    return True


def _what_is_wrong(line: bytes) -> RejectReason:
    if not line.strip():
        return "empty line"
    try:
        line.decode()
    except UnicodeDecodeError:
        return "invalid utf-8"
    return "broken json"


def _parquet(file: Any, wanted: Wanted | None) -> Iterator[Row | int]:
    table, row = open_parquet(file), 0
    plain = all(_is_plain(field.type) for field in table.schema_arrow)
    for batch in table.iter_batches(BATCH_ROWS):
        for position in range(batch.num_rows):
            passed, row = wanted is not None and not wanted(row), row + 1
            yield 1 if passed else _parquet_row(batch.slice(position, 1), plain)


def _parquet_row(row: pa.RecordBatch, plain: bool) -> Row:
    try:
        [values] = row.to_pylist()
        row_of_json: dict[str, Any] = values if plain else orjson.loads(orjson.dumps(values, default=_as_text))
    except UnicodeDecodeError as error:
        return Broken("invalid utf-8", str(error))
    except (OverflowError, LookupError, TypeError, ValueError) as error:  # a year after 9999, an unknown time zone
        return Broken("unreadable value", f"{type(error).__name__}: {error}")
    return row_of_json


def _is_plain(kind: pa.DataType) -> bool:
    """Whether a column's values are JSON values as they come."""
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _is_plain(kind.value_type)
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_null(kind)
    )


def _as_text(value: Any) -> str:
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)
