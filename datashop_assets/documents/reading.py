"""Documents of one source file, streamed: JSON in any layout and compression, and Parquet.

Every row becomes a `Document`, or a `Reject` with its reason and place, so that an item's position is its row; of rows
that are not wanted, the item is how many they are. A file that cannot be read to its end gives one last reject, of an
unreadable file; a connection that fails raises, because the file may be whole.

pyarrow decompresses, 10 million short lines a second. A file that it refuses is read again from the row it came to, by
`compression`, which takes more. At most one row of 64 MB is in memory, or of a Parquet file one batch and 1 MB of each
column, however large its row groups.
"""

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import IO, Any

import fsspec
import orjson
import pyarrow as pa

from datashop_assets.documents.compression import (
    ERRORS,
    FAST,
    LONGEST_BEGINNING,
    Codec,
    codec_of,
    decompress,
)
from datashop_assets.documents.formats import COMPRESSED, PARQUET, suffix_of
from datashop_assets.documents.json_rows import BLOCK, Blocks, Broken, DamagedFileError, Row, Wanted, read_json
from datashop_assets.documents.shapes import row_shape, value_shape
from datashop_assets.documents.sources import DocumentSource, Fields, SourceFile, source_files
from datashop_assets.protocols.documents import UNREADABLE, Document, Reject
from datashop_assets.storage.shards import open_parquet

LONGEST_LINE = 64 << 20  # bytes
BATCH_ROWS = 256
UNKNOWN_SOURCE = "unknown"
LONGEST_DETAIL = 300  # characters; a detail may quote the row
PARQUET_BEGINNING = b"PAR1"
ZIP_BEGINNING = b"PK\x03\x04"
LFS_BEGINNING = b"version https://git-lfs"
TAR_MARK = slice(257, 262)
TURNS = "\n\n"  # between the texts that a path with `*` joins
# Neither white space nor a control character, nor one that is not seen: Unicode's Default_Ignorable_Code_Point, marks
# of annotation, and the empty Braille pattern.
VISIBLE = re.compile(
    r"[^\s\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    r"\U000e0000-\U000e0fff]"
)
PLACE = re.compile(r"-?[0-9]{1,9}")  # in a list, the last one -1


class UnreadableFileError(ValueError):
    """A file cannot be read as a whole. The message names it, the cause and the fix."""


def read_source(source: DocumentSource, cache: Path, data: Path) -> Iterator[tuple[SourceFile, int, Document | Reject]]:
    """Every row of all files of a source, with its file and number.

    Raises `UnreadableFileError` at a file that cannot be read as a whole, unless the prompt skips such files.
    """
    for file in source_files(source.uri, cache, data):
        for number, found in enumerate(read_documents(file, source.fields)):
            if isinstance(found, Reject) and found.reason == UNREADABLE and not source.skips_unreadable:
                raise unreadable(file, source.uri, found.detail)
            yield file, number, found


def unreadable(file: SourceFile, uri: str, cause: str) -> UnreadableFileError:
    return UnreadableFileError(
        f"{file.uri} cannot be read: {cause}. Correct the file or the field that this names, or narrow {uri!r} to "
        "leave the file out; `on_unreadable: skip` beside the uri in the prompt file goes on without it"
    )


def read_documents(file: SourceFile, fields: Fields) -> Iterator[Document | Reject]:
    """One item for every row of the file, in order. A document without an id is called `<shard>:<row>`."""
    return (found for found in read_wanted(file, fields, None) if not isinstance(found, int))


def read_wanted(file: SourceFile, fields: Fields, wanted: Wanted | None) -> Iterator[Document | Reject | int]:
    """As `read_documents`, with the number of rows instead of those that are not wanted and follow each other."""
    position, columns = 0, file.columns
    for row in read_rows(file, wanted=wanted, text_field=fields.text):
        if isinstance(row, int):
            yield row
            position += row
            continue
        if isinstance(row, Broken):
            found: Document | Broken = row
        else:
            whole = {**columns, **row} if columns else row
            found = _plain(whole, fields) or _document(whole, fields, f"{file.shard}:{position}")
        if isinstance(found, Broken):
            yield Reject(found.reason, f"{file.name} row {position}", found.detail[:LONGEST_DETAIL])
        else:
            yield found
        position += 1


def _plain(row: Mapping[str, Any], fields: Fields) -> Document | None:
    """The document of a row as most are: text, id and source are strings that begin with a visible character."""
    get, starts = row.get, VISIBLE.match
    text, identity, source = get(fields.text), get(fields.id), get(fields.source)
    if not (isinstance(text, str) and isinstance(identity, str) and isinstance(source, str)):
        return None
    return Document(identity, text, source, row) if starts(text) and starts(identity) and starts(source) else None


def _document(row: Mapping[str, Any], fields: Fields, name: str) -> Document | Broken:
    text, identity, source = value_of(row, fields.text), value_of(row, fields.id), value_of(row, fields.source)
    if text is None and fields.text in row:
        text = ""  # the field is right and this document has nothing in it
    if not isinstance(text, str):
        if text is None:
            return Broken("no text", f"no text_field {fields.text!r}; {row_shape(row)}")
        return Broken("text is not a string", f"text_field {fields.text!r} is {value_shape(text, fields.text, row)}")
    if VISIBLE.search(text) is None:
        unseen = sorted({f"U+{ord(one):04X}" for one in text if not one.isspace()})
        return Broken("blank text", f"no visible character, only {', '.join(unseen[:5])}" if unseen else "")
    if not isinstance(identity, str) and identity is not None:
        if isinstance(identity, bool) or not isinstance(identity, int | float):
            return Broken("id is not a string or number", f"id_field {fields.id!r} is {value_shape(identity)}")
        identity = _number(identity)
    if not isinstance(source, str) and source is not None:
        if isinstance(source, bool) or not isinstance(source, int | float):
            return Broken(
                "source is not a string or number", f"source_field {fields.source!r} is {value_shape(source)}"
            )
        source = _number(source)
    return Document(_seen(identity) or name, text, _seen(source) or UNKNOWN_SOURCE, row)


def _seen(name: str | None) -> str | None:
    """A name that has a visible character."""
    return name if name and VISIBLE.search(name) else None


def _number(value: float) -> str:
    """12 of 12 and of 12.0, which tables make of an integer beside a missing one."""
    return str(int(value)) if isinstance(value, int) or value.is_integer() else str(value)


def value_of(row: Mapping[str, Any], field: str) -> Any:
    """The value of a field, or at a path where no field has the whole name; None where there is none.

    A dot leads into an object (`metadata.language`), a number to a place in a list (`messages.0.content`, the last one
    -1), and `*` to every place: strings found there are joined by a blank line, others are left a list.
    """
    return row[field] if field in row else _at(row, field.split("."))


def _at(value: Any, path: list[str]) -> Any:
    for step, part in enumerate(path):
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and part == "*":
            found = [one for each in value if (one := _at(each, path[step + 1 :])) is not None]
            return TURNS.join(found) if found and all(isinstance(one, str) for one in found) else found or None
        elif isinstance(value, list) and PLACE.fullmatch(part) and -len(value) <= int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


class _Watched:
    """A file that remembers its own failure, to tell a bad connection from bad bytes."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.failure: Exception | None = None
        self._beginning = b""

    def beginning(self, size: int) -> bytes:
        """The first bytes, which are read again afterwards."""
        self._beginning = self.read(size)
        return self._beginning

    def read(self, size: int = -1) -> bytes:
        if self._beginning:
            part = self._beginning if size < 0 else self._beginning[:size]
            self._beginning = self._beginning[len(part) :]
            return part if 0 <= size <= len(part) else part + self.read(size - len(part) if size > 0 else size)
        try:
            return self.file.read(size)
        except Exception as error:
            self.failure = error
            raise

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._beginning = b""
        return self.file.seek(offset, whence)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


def read_rows(
    file: SourceFile, longest_line: int = LONGEST_LINE, wanted: Wanted | None = None, text_field: str = ""
) -> Iterator[Row | int]:
    """The rows of a file, in order, and instead of rows that are not wanted how many of them follow each other.

    Binary values of Parquet are read as UTF-8. One that is none is `Broken` where it is the text, else has escapes.
    The last one of a file that cannot be read to its end is a `Broken`. Raises what the connection to the file raises.
    """
    row = 0
    try:
        for found in _rows(file, longest_line, wanted, text_field, FAST):
            yield found
            row += found if isinstance(found, int) else 1
    except _RefusedError:
        known = row

        def follows(row: int) -> bool:
            return row >= known and (wanted is None or wanted(row))

        following = _rows(file, longest_line, follows, text_field, frozenset())
        try:
            for found in _without(following, known):
                yield found
                row += found if isinstance(found, int) else 1
        except DamagedFileError as error:
            yield _damaged(error, row)
    except DamagedFileError as error:
        yield _damaged(error, row)


class _RefusedError(Exception):
    """pyarrow does not decompress this file."""


def _damaged(error: DamagedFileError, row: int) -> Broken:
    return Broken(UNREADABLE, f"{f'after row {row - 1}' if row else 'before the first row'}, {error}")


def _without(rows: Iterator[Row | int], known: int) -> Iterator[Row | int]:
    """The rows behind the first `known` ones, which are counted and not given."""
    for found in rows:
        if not isinstance(found, int):
            yield found
            continue
        passed = min(known, found)
        known -= passed
        if found > passed:
            yield found - passed


def _rows(
    file: SourceFile, longest_line: int, wanted: Wanted | None, text_field: str, fast: frozenset[Codec]
) -> Iterator[Row | int]:
    """Raises `DamagedFileError`; `_RefusedError` where only `fast`, the codecs that pyarrow unpacks, is at fault."""
    filesystem, path = fsspec.core.url_to_fs(file.uri)  # fsspec.open would take a '*' in a file's name for a glob
    with filesystem.open(path, "rb") as opened:
        watched = _Watched(opened)
        codec: Codec | None = None
        try:
            beginning = watched.beginning(max(LONGEST_BEGINNING, len(LFS_BEGINNING)))
            is_parquet = suffix_of(file.name).lower() == PARQUET and not beginning.startswith(LFS_BEGINNING)
            if beginning.startswith(PARQUET_BEGINNING) or is_parquet:
                yield from _parquet(watched, wanted, text_field)
                return
            if beginning.startswith(ZIP_BEGINNING):
                raise DamagedFileError("it is a zip archive; unpack it")
            if beginning.startswith(LFS_BEGINNING):
                raise DamagedFileError("it is a pointer of Git LFS in place of the file; fetch it with `git lfs pull`")
            codec = codec_of(beginning)
            with closing(_text(watched, file.name, beginning, codec, fast)) as text:
                _refuse_wrapped(text)
                yield from read_json(text, longest_line, wanted)
        except (*ERRORS, pa.ArrowException) as error:
            if watched.failure is not None:
                raise watched.failure from error
            if codec in fast:
                raise _RefusedError from error
            raise DamagedFileError(str(error) or type(error).__name__) from error


def _text(
    file: _Watched, name: str, beginning: bytes, codec: Codec | None, fast: frozenset[Codec]
) -> io.BufferedReader:
    """What the file holds, unpacked. Raises `DamagedFileError` where it is not what its name says, nor JSON."""
    suffix = suffix_of(name).lower()
    if codec is None:
        if suffix.endswith(COMPRESSED) and not beginning.lstrip(b" \t\r\n\xef\xbb\xbf").startswith((b"{", b"[")):
            said = f"it begins {beginning!r}" if beginning else "it is empty"
            raise DamagedFileError(f"it is not compressed, as its name says: {said}")
        return io.BufferedReader(pa.PythonFile(file, mode="r"), BLOCK)
    if codec in fast:
        return io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(file, mode="r"), codec), BLOCK)
    return io.BufferedReader(Blocks(decompress(file.read, codec)), BLOCK)


def _refuse_wrapped(text: io.BufferedReader) -> None:
    """Raises `DamagedFileError` for an archive, of whose first file the rows could be read but for one."""
    beginning = text.peek(TAR_MARK.stop)
    if beginning[TAR_MARK] == b"ustar":
        raise DamagedFileError("it is a tar archive; unpack it")
    if codec := codec_of(beginning):
        raise DamagedFileError(f"what it holds is compressed again, by {codec}; unpack it once")


def _parquet(file: _Watched, wanted: Wanted | None, text_field: str) -> Iterator[Row | int]:
    file.seek(0)
    table, row = open_parquet(file), 0
    names = table.schema_arrow.names
    if twice := next((name for place, name in enumerate(names) if name in names[:place]), None):
        raise DamagedFileError(f"two of its columns are called {twice!r}; rename one")
    plain = all(_is_plain(field.type) for field in table.schema_arrow)
    for batch in table.iter_batches(BATCH_ROWS):
        for position in range(batch.num_rows):
            passed, row = wanted is not None and not wanted(row), row + 1
            yield 1 if passed else _parquet_row(batch.slice(position, 1), plain, text_field)


def _parquet_row(row: pa.RecordBatch, plain: bool, text_field: str) -> Row:
    try:
        [values] = row.to_pylist()
        text = None if plain else value_of(values, text_field)
        for part in text if isinstance(text, list) else [text]:
            if isinstance(part, bytes):
                part.decode()
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
