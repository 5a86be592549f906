"""What a row looks like, in words, and which field of it is likely meant: for who has named another one.

Where one object holds all documents of a file, no field is meant: a path would read one of them, or join all. Nothing
here is read but for a reject's detail, which is one line of a terminal.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from datashop_assets.printable import printable_line

SHOWN = 8  # fields of an object
WRAPPERS = frozenset(
    ("data", "rows", "documents", "docs", "items", "records", "results", "examples", "entries", "articles", "hits")
)  # fields with the list of all documents
SPEAKERS = ("role", "from", "speaker", "author")  # what tells the turns of one conversation from documents
NUMBERS = re.compile(r"[0-9a-f]*[0-9][0-9a-f-]*", re.I)  # what ids in a row of keys differ in
LONG = 200  # characters of a text beside, which makes the row a document
PANDAS = "pandas.read_json(...).to_json(..., orient='records', lines=True)"
TEXTS = ("text", "content", "body", "value")  # what the field with the text is usually called


def row_shape(row: Mapping[str, Any], *, hint: bool = True) -> str:
    """`the row has id (number), body (string of 80); perhaps text_field: body`, its end with `hint` alone."""
    if hint and (many := _many_documents(row)):
        return printable_line(many)
    fields = ", ".join(f"{name!s:.40} ({_shape(value)})" for name, value in list(row.items())[:SHOWN])
    more = f" and {len(row) - SHOWN} more" if len(row) > SHOWN else ""
    return printable_line(f"the row has {fields or 'no fields'}{more}{_perhaps(row, '') if hint else ''}")


def value_shape(value: Any, field: str = "", row: Mapping[str, Any] | None = None) -> str:
    """`a list of 2 objects with content, role; perhaps text_field: messages.*.content`."""
    if row is not None and (many := _many_documents(row)):
        return printable_line(f"{_shape(value)}; {many}")
    return printable_line(f"{_shape(value)}{_perhaps(value, f'{field}.') if field else ''}")


def _many_documents(row: Mapping[str, Any]) -> str:
    """How a row that is a whole file holds its documents, and how they become lines; empty for any other row."""
    beside = any(isinstance(one, str) and (name in TEXTS or len(one) > LONG) for name, one in row.items())
    how, rewriting = (not beside and _in_a_list(row)) or _by_columns(row) or _by_id(row) or ("", "")
    return f"the row seems to hold {how}; write each as a line of its own, as {rewriting} does" if how else ""


def _in_a_list(row: Mapping[str, Any], path: str = "", depth: int = 2) -> tuple[str, str] | None:
    """`{"data": [{...}, {...}]}`, also deeper, and of objects that are no turns of a conversation."""
    for name, value in row.items():
        if isinstance(value, Mapping) and depth and (found := _in_a_list(value, f"{path}{name}.", depth - 1)):
            return found
        if not (isinstance(value, list) and value and all(isinstance(one, Mapping | list) for one in value)):
            continue
        speaks = isinstance(value[0], Mapping) and not value[0].keys().isdisjoint(SPEAKERS)
        if path:
            wraps = name.lower() in WRAPPERS and isinstance(value[0], Mapping) and not value[0].keys().isdisjoint(TEXTS)
        else:
            wraps = name.lower() in WRAPPERS or (len(row) == 1 and name not in TEXTS)
        if wraps and not speaks:
            return f"{len(value)} documents in the list {path}{name}", f"jq -c '.{path}{name}[]'"
    return None


def _by_columns(row: Mapping[str, Any]) -> tuple[str, str] | None:
    """`{"text": {"0": ..., "1": ...}, ...}`, as pandas writes, and `{"text": [..., ...], "id": [..., ...]}`."""
    first, *others = row.values() or [None]
    match first:
        case Mapping():
            columns = all(str(key).isdecimal() for key in first)
            alike = all(isinstance(one, Mapping) and one.keys() == first.keys() for one in others)
        case list():
            columns = bool(others)
            alike = all(isinstance(one, list) and len(one) == len(first) for one in others)
        case _:
            return None
    return (f"{len(first)} documents by columns", PANDAS) if columns and alike and len(first) > 1 else None


def _by_id(row: Mapping[str, Any]) -> tuple[str, str] | None:
    """`{"doc1": {"text": ...}, "doc2": {"text": ...}, ...}`, or the texts alone where ids differ in numbers."""
    first, *others = row.values() or [None]
    if not others or any(name in TEXTS for name in row):
        return None
    if isinstance(first, Mapping) and first:
        alike = all(isinstance(one, Mapping) and one.keys() == first.keys() for one in others)
        return (f"{len(row)} documents by id", "jq -c 'to_entries[] | {id: .key} + .value'") if alike else None
    alike = all(isinstance(one, str) for one in row.values()) and len({NUMBERS.sub("#", name) for name in row}) == 1
    many = alike and len(row) > SHOWN  # `sentence1` and `sentence2` are one document's
    return (f"{len(row)} documents by id", "jq -c 'to_entries[] | {id: .key, text: .value}'") if many else None


def _shape(value: Any) -> str:
    match value:
        case None | bool():
            return "null" if value is None else "true or false"
        case int() | float():
            return "number"
        case str():
            return f"string of {len(value)}"
        case list():
            return f"list of {len(value)}{f', each {_shape(value[0])}' if value else ''}"
        case Mapping():
            return f"object with {', '.join(f'{name!s:.40}' for name in list(value)[:SHOWN])}"
    return type(value).__name__


def _perhaps(value: Any, path: str) -> str:
    """The path to the longest text below `value`, those with a usual name first."""
    found = [(name.rpartition(".")[2] in TEXTS, len(text), name) for name, text in _texts(value, path)]
    if not found:
        return ""
    path = max(found)[2]
    joins = ", which makes one document of all of them" if "*" in path.split(".") else ""
    return f"; perhaps text_field: {path}{joins}"


def _texts(value: Any, path: str, depth: int = 3) -> Iterator[tuple[str, str]]:
    """Every text below `value` with its path, of lists their first element's."""
    if isinstance(value, str):
        yield path.removesuffix("."), value
    elif isinstance(value, list) and value and depth:
        yield from _texts(value[0], f"{path}*.", depth - 1)
    elif isinstance(value, Mapping) and depth:
        for name, one in value.items():
            yield from _texts(one, f"{path}{name}.", depth - 1)
