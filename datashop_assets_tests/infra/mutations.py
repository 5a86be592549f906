"""One change at a time to a file of keys and lists: what a closed model must refuse."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

Path_ = tuple[str | int, ...]


def leaves(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    """The place of every key and every entry of a list."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from leaves(inner, (*path, key))


def changed(config: Any, path: Path_, change: Callable[[Any, str | int], None]) -> Any:
    new = copy.deepcopy(config)
    holder = new
    for key in path[:-1]:
        holder = holder[key]
    change(holder, path[-1])
    return new


def remove(holder: Any, key: str | int) -> None:
    del holder[key]


def misspell_key(holder: Any, key: str | int) -> None:
    holder[f"{key}s"] = holder.pop(key)


def misspell_value(holder: Any, key: str | int) -> None:
    holder[key] = {str: lambda v: v[:-1] + "~", bool: lambda v: not v, int: lambda _: -1, float: lambda _: -1.0}.get(
        type(holder[key]), lambda _: None
    )(holder[key])


def other_type(holder: Any, key: str | int) -> None:
    holder[key] = [] if isinstance(holder[key], dict) else {"and": "more"}


def text_for_number(holder: Any, key: str | int) -> None:
    holder[key] = [holder[key]] if isinstance(holder[key], str) else str(holder[key])


def add(holder: Any, key: str | int) -> None:
    if isinstance(holder[key], dict):
        holder[key]["extra"] = 1
    elif isinstance(holder[key], list):
        holder[key].append("extra")
    else:
        holder[key] = None
