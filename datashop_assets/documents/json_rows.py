"""The rows of a JSON text, however it is laid out: a value a line, one array, one object, values behind each other.

The beginning says which: where the first line is an object, every line is a row, and a line that is wrong is one
reject. It says how many values the line holds, where files were put together without a newline. Else values are read
wherever they end; of an array each element is a row. A mistake between them is the end of what can be read. Lines are
parsed by orjson, ten times as fast.

Text is UTF-8, with or without a byte order mark; UTF-16 and UTF-32 are known by their mark, or by the zero bytes that
the first character has in them. `NaN`, `Infinity` and numbers beyond a float are read as null.

A row in which a key stands twice with different values is a reject: JSON does not say which of them counts, and parsers
differ. Parsers drop one of them in silence, so that it is looked for by counting quotation marks.
"""

import codecs
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import orjson

from datashop_assets.protocols.documents import RejectReason
from datashop_assets.storage import exact_json
from datashop_assets.storage.exact_json import DEEPEST, LOOSE

BLOCK = 1 << 16  # bytes
WHITE_SPACE = re.compile(r"[ \t\r\n]*")
QUOTED = 60  # bytes or characters of a line that a detail repeats
COUNTED = 1 << 20  # bytes of a broken line in which values are counted
BETWEEN_VALUES = re.compile(r"[ \t\r\n,]*")
COUNTER = json.JSONDecoder(parse_int=str, parse_float=str)  # numbers of any length
ONE_A_LINE = "put each on a line of its own"
NEAR_THE_END = 16  # characters: an error so near the end of what was read may be no error but the next block's
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
RECORD = b"\x1e"  # begins a row of a JSON text sequence (RFC 7464)
MARKS = {  # the longer ones first
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
ZEROS = {  # which of the first four bytes are zero, where the first two characters are ASCII
    b"\0\1\1\1": "utf-32-le",
    b"\1\1\1\0": "utf-32-be",
    b"\0\1\0\1": "utf-16-le",
    b"\1\0\1\0": "utf-16-be",
}
NESTED = frozenset((dict, list))
WITH_TEXTS = frozenset((str, dict, list))


@dataclass(frozen=True, slots=True)
class Broken:
    """A row that cannot be read."""

    reason: RejectReason
    detail: str = ""


Row = Mapping[str, Any] | Broken
Wanted = Callable[[int], bool]  # asked once for every row, in order


class DamagedFileError(Exception):
    """A file cannot be read any further. The message says why."""


class Blocks(io.RawIOBase):
    """A file of the bytes that an iterator gives."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks, self._block = iter(blocks), memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        while not self._block:
            if (block := next(self._blocks, None)) is None:
                return 0
            self._block = memoryview(block)
        size = min(len(buffer), len(self._block))
        buffer[:size], self._block = self._block[:size], self._block[size:]
        return size


def read_json(data: io.BufferedReader, longest: int, wanted: Wanted | None) -> Iterator[Row | int]:
    """The rows of a JSON text, and instead of rows that are not wanted how many of them follow each other.

    `longest` is the most bytes of one row. Raises `DamagedFileError`, and what reading `data` raises.
    """
    data = _in_utf8(data)
    first = data.readline(longest + 1).removeprefix(BYTE_ORDER_MARK)
    row = parse(first) if first.removeprefix(RECORD).lstrip()[:1] in (b"{", b"[") else {}
    if isinstance(row, Broken):
        second = data.readline(longest + 1) if row.reason == "not an object" else b""
        text = _Text(first + second, data, longest)
        if not second.strip() and (values := _over_lines(text)) is not None:
            return _values(values, wanted)
        data = io.BufferedReader(Blocks(chain(text.taken, _blocks(data))), BLOCK)
        first = data.readline(longest + 1)
    return _lines(first, data, longest, wanted)


def parse(line: bytes) -> Row:
    line = line.removeprefix(BYTE_ORDER_MARK).removeprefix(RECORD)  # of a file that was put behind another one
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        if b"NaN" in line or b"Infinity" in line or "infinity" in str(error):
            return _parse_slowly(line)
        return Broken(*_what_is_wrong(line, error))
    if not isinstance(row, dict):
        return _no_object(row, _quoted(line))
    kinds = [*map(type, row.values())]
    nested = not NESTED.isdisjoint(kinds)
    if nested and line.count(b"{") + line.count(b"[") > DEEPEST and (problem := _problem(row)):
        return problem
    if not LOOSE.isdisjoint(kinds) and exact_json.is_altered(row):
        return _parse_slowly(line)
    texts = _texts(row) if nested else len(row) + kinds.count(str)
    return row if _marks(line) == 2 * texts else _parse_slowly(line)


def _marks(line: bytes) -> int:
    """Quotation marks around keys and texts of a line of JSON."""
    if b'\\"' in line:  # one that is escaped, or a text that ends in a backslash
        line = line.replace(b"\\\\", b"")
        return line.count(b'"') - line.count(b'\\"')
    return line.count(b'"')


def _texts(value: Any) -> int:
    """Keys and texts in a value: half as many as quotation marks, unless a key that stood twice was dropped."""
    kind = type(value)
    if kind is dict:
        return len(value) + sum(map(_texts, value.values()))
    if kind is list:
        return 0 if WITH_TEXTS.isdisjoint(map(type, value)) else sum(map(_texts, value))
    return int(kind is str)


class _Keys:
    """Makes objects of their keys and values, and notes the first key that stands twice with different values."""

    def __init__(self) -> None:
        self.repeated: str | None = None
        self.decoder = exact_json.decoder(self._object)

    def _object(self, pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(reversed(pairs))  # the first of each
        if len(made) == len(pairs):
            return dict(pairs)
        for key, value in pairs:
            differs = value != made[key] or isinstance(value, bool) != isinstance(made[key], bool)
            if differs and self.repeated is None:
                self.repeated = key
        return dict(pairs)

    def problem(self) -> Broken | None:
        if self.repeated is None:
            return None
        return Broken("repeated key", f"{self.repeated[:QUOTED]!a} stands twice with different values")


def _in_utf8(data: io.BufferedReader) -> io.BufferedReader:
    beginning = data.peek(4)[:4]
    encoding = next((name for mark, name in MARKS.items() if beginning.startswith(mark)), None)
    encoding = encoding or ZEROS.get(bytes(byte == 0 for byte in beginning))
    if encoding is None:
        return data

    def recoded() -> Iterator[bytes]:
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            while block := data.read(BLOCK):
                yield decoder.decode(block).encode()
            yield decoder.decode(b"", final=True).encode()
        except UnicodeDecodeError as error:
            raise DamagedFileError(f"its text is no {encoding.upper()}: {error}") from error

    return io.BufferedReader(Blocks(recoded()), BLOCK)


def _lines(first: bytes, data: io.BufferedReader, longest: int, wanted: Wanted | None) -> Iterator[Row | int]:
    line, row, passed = first, 0, 0
    while line:
        whole = line.endswith(b"\n") or len(line) <= longest
        if whole and wanted is not None and not wanted(row):
            passed += 1
        else:
            if passed:
                yield passed
                passed = 0
            yield parse(line) if whole else _too_long(data, len(line), longest)
        row += 1
        line = data.readline(longest + 1)
    if passed:
        yield passed


def _too_long(data: io.BufferedReader, size: int, longest: int) -> Broken:
    """Reads on to the end of the line, in steps, and says how long it is."""
    while part := data.readline(longest):
        size += len(part)
        if part.endswith(b"\n"):
            break
    return Broken("line too long", f"{size} bytes, {longest} at most")


def _over_lines(text: "_Text") -> Iterator[Any] | None:
    """The values of the text; None where its first line does not begin an array, or an object of several lines."""
    values = text.values()
    try:
        first = next(values)
    except StopIteration:  # an empty array
        return iter(())
    except (ValueError, RecursionError):
        return None
    if len(text.taken) == 1 and not text.left.startswith(("{", "[", ",", "]")):
        return None
    text.recorded = False
    return chain([first], values)


def _values(values: Iterator[Any], wanted: Wanted | None) -> Iterator[Row | int]:
    row, passed = 0, 0
    try:
        for value in values:
            if wanted is not None and not wanted(row):
                passed += 1
            else:
                if passed:
                    yield passed
                    passed = 0
                yield _checked(value)
            row += 1
    except (ValueError, RecursionError) as error:
        if passed:
            yield passed
        raise DamagedFileError(f"its JSON goes wrong: {error}") from error
    if passed:
        yield passed


class _Text:
    """JSON values that may end anywhere. Memory holds one block or, if that is longer, one value.

    Bytes that are no UTF-8 become surrogates, which `_checked` finds in the value that holds them.
    """

    def __init__(self, beginning: bytes, data: io.BufferedReader, longest: int) -> None:
        self._data, self._longest = data, longest
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._text, self._at, self._ended = self._decoder.decode(beginning), 0, False
        self._keys = _Keys()
        self.taken = [beginning]  # what was read
        self.recorded = True  # into `taken`

    def values(self) -> Iterator[Any]:
        """Every value; of an array each element. Raises `ValueError`, `RecursionError`."""
        while mark := self.next():
            if mark != "[":
                yield self._value()
                continue
            self._at += 1
            while mark != "]":
                if mark == "[" and self.next() == "]":
                    self._at += 1
                    break
                yield self._value()
                if (mark := self.next()) not in ("]", ","):
                    raise ValueError(f"{mark!r} where an array goes on with ',' or ends with ']'")
                self._at += 1

    @property
    def left(self) -> str:
        """What was read and not taken for a value."""
        return self._text[self._at :].strip()

    def next(self) -> str:
        """The next character that is no white space; empty at the end."""
        while True:
            if found := WHITE_SPACE.match(self._text, self._at):
                self._at = found.end()
            if self._at < len(self._text) or self._ended:
                return self._text[self._at : self._at + 1]
            self._read_on()

    def _value(self) -> Any:
        """The next value, or a `Broken` in its place."""
        self.next()
        while True:
            self._keys.repeated = None  # of what was tried before
            try:
                value, end = self._keys.decoder.raw_decode(self._text, self._at)
                if end < len(self._text) or self._ended:
                    self._at = end
                    return self._keys.problem() or value
            except json.JSONDecodeError as error:
                near = error.pos + NEAR_THE_END >= len(self._text) or error.msg.startswith("Unterminated string")
                if self._ended or not near:  # its place is one in a block, which says nothing to anybody
                    stands = ascii(self._text[error.pos : error.pos + QUOTED].strip())
                    raise ValueError(f"{error.msg} where {stands} stands") from error
            if len(self._text) - self._at > self._longest:
                raise ValueError(f"a value of more than {self._longest} characters")
            self._read_on()

    def _read_on(self) -> None:
        """Reads as much again, so that a long value is not begun again and again."""
        block = self._data.read(max(BLOCK, len(self._text) - self._at))
        if self.recorded:
            self.taken.append(block)
        self._text, self._at = self._text[self._at :] + self._decoder.decode(block, final=not block), 0
        self._ended = not block


def _checked(value: Any) -> Row:
    if isinstance(value, Broken):
        return value
    if not isinstance(value, dict):
        return _no_object(value, f"{str(value)[:QUOTED]!a}")
    return _problem(value) or value


def _problem(row: Mapping[str, Any]) -> Broken | None:
    """What keeps a row from being written again as JSON."""
    try:
        exact_json.dumps(row)
    except TypeError as error:
        if "ecursion" in str(error):
            return Broken("nested too deep", f"a JSON value of over {DEEPEST} levels")
        return Broken("invalid utf-8", str(error))
    return None


def _parse_slowly(line: bytes) -> Row:
    keys = _Keys()
    try:
        value = keys.decoder.decode(line.decode())
        return keys.problem() or _checked(value)
    except RecursionError:
        return Broken("nested too deep", f"a JSON value of over {DEEPEST} levels")
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        return Broken(*_what_is_wrong(line, error))
    except ValueError as error:
        return Broken("unreadable value", str(error))


def _what_is_wrong(line: bytes, error: ValueError) -> tuple[RejectReason, str]:
    if not line.strip():
        return "empty line", ""
    try:
        line.decode()
    except UnicodeDecodeError as no_text:
        return "invalid utf-8", f"{no_text.reason} at byte {no_text.start}, {_quoted(line[no_text.start :])}"
    count, whole = _values_behind_each_other(line)
    said = f"holds {'' if whole else 'at least '}{count:,} JSON values; {ONE_A_LINE}" if count > 1 else str(error)
    return "broken json", f"{said}; the line begins {_quoted(line)}"


def _values_behind_each_other(line: bytes) -> tuple[int, bool]:
    """How many objects and arrays the beginning of a line holds, and whether that is all of the line."""
    text, at, count = line[:COUNTED].decode(errors="ignore"), 0, 0
    while (at := BETWEEN_VALUES.match(text, at).end()) < len(text):  # type: ignore[union-attr]  # it matches nothing, too
        if text[at] not in "{[":
            return count, False
        try:
            _, at = COUNTER.raw_decode(text, at)
        except (ValueError, RecursionError):
            return count, False
        count += 1
    return count, len(line) <= COUNTED


def _no_object(value: Any, shown: str) -> Broken:
    if not isinstance(value, list):
        return Broken("not an object", f"a JSON {type(value).__name__}, {shown}")
    size = f"an array of {len(value):,} value{'s' * (len(value) != 1)}"
    fix = f"; {ONE_A_LINE}" if value and isinstance(value[0], dict) else ""
    return Broken("not an object", f"{size}{fix}; it begins {shown}")


def _quoted(line: bytes) -> str:
    """The beginning of a line, with nothing in it that a terminal would obey."""
    return ascii(line[:QUOTED].decode(errors="backslashreplace").strip())


def _blocks(data: io.BufferedReader) -> Iterator[bytes]:
    return iter(lambda: data.read(BLOCK), b"")
