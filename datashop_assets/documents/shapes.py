"""What a row looks like, in words, and which field of it is likely meant: for who has named another one.

Nothing here is read but for a reject's detail, which is one line of a terminal.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from datashop_assets.printable import printable_line

SHOWN = 8  # fields of an object
TEXTS = ("text", "content", "body", "value")  # what the field with the text is usually called


def row_shape(row: Mapping[str, Any], *, hint: bool = True) -> str:
    """`the row has id (number), body (string of 80); perhaps text_field: body`, its end with `hint` alone."""
    fields = ", ".join(f"{name!s:.40} ({_shape(value)})" for name, value in list(row.items())[:SHOWN])
    more = f" and {len(row) - SHOWN} more" if len(row) > SHOWN else ""
    return printable_line(f"the row has {fields or 'no fields'}{more}{_perhaps(row, '') if hint else ''}")


def value_shape(value: Any, field: str = "") -> str:
    """`a list of 2 objects with content, role; perhaps text_field: messages.*.content`."""
    return printable_line(f"{_shape(value)}{_perhaps(value, f'{field}.') if field else ''}")


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
