"""JSON whose integers keep all their digits.

orjson reads an integer of more than 64 bits as a float and writes none. It does the work here as long as no value is
that large; where one is, the standard library takes over, at a tenth of the speed.
"""

import json
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import orjson

LOOSE = frozenset((float, dict, list))  # kinds of values that may be, or hold, an integer that became a float
BEYOND = float(1 << 63)  # no smaller integer is altered
DEEPEST = 250  # levels of a JSON value; orjson reads 1,024 and writes 254
MOST_DIGITS = 4300  # of an integer: Python converts no more, because the time grows with their square


def loads(data: bytes) -> Any:
    """A JSON value. Raises `orjson.JSONDecodeError`."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        if "infinity" not in str(error):
            raise
        return loads_slowly(data)
    return loads_slowly(data) if is_altered(value) else value


def loads_slowly(data: bytes | str) -> Any:
    """The same, with `NaN`, `Infinity` and numbers beyond a float read as None, as they are in JSON when written.

    Raises `ValueError`, `RecursionError` for a value that is nested too deep.
    """
    return DECODER.decode(data if isinstance(data, str) else data.decode())


def dumps(value: Any, option: int | None = None) -> bytes:
    """`value` as `orjson.dumps` writes it. Raises `TypeError` for what JSON cannot hold, or is nested too deep."""
    try:
        return orjson.dumps(value, option=option)
    except TypeError:
        if not _holds_large_integer([value]):
            raise
    flags = option or 0
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=bool(flags & orjson.OPT_SORT_KEYS))
    try:
        return text.encode() + b"\n" * bool(flags & orjson.OPT_APPEND_NEWLINE)
    except UnicodeEncodeError as error:
        raise TypeError(str(error)) from None


def _integer(digits: str) -> int:
    if (size := len(digits.removeprefix("-"))) > MOST_DIGITS:
        raise ValueError(f"an integer of {size:,} digits; at most {MOST_DIGITS:,} are read")
    return int(digits)


def _finite(digits: str) -> float | None:
    return value if math.isfinite(value := float(digits)) else None


def decoder(make_object: Callable[[Sequence[tuple[str, Any]]], Any] | None = None) -> json.JSONDecoder:
    """What `loads_slowly` decodes with. `make_object` makes an object of all its keys and values, in order."""
    return json.JSONDecoder(
        parse_int=_integer, parse_float=_finite, parse_constant=lambda _: None, object_pairs_hook=make_object
    )


DECODER = decoder()


def is_altered(value: Any) -> bool:
    """Whether a float in `value` may have been an integer."""
    if type(value) is float:
        return not -BEYOND < value < BEYOND
    if type(value) is dict:
        return _one_is_altered(value.values())
    return type(value) is list and not LOOSE.isdisjoint(map(type, value)) and _one_is_altered(value)


def _one_is_altered(values: Iterable[Any]) -> bool:
    for one in values:  # a loop, not `any`, and no call for a number or text: this is run for every row of a pool
        kind = type(one)
        if kind is float:
            if not -BEYOND < one < BEYOND:
                return True
        elif (kind is dict or kind is list) and is_altered(one):
            return True
    return False


def _holds_large_integer(values: Iterable[Any], level: int = 0) -> bool:
    """False, too, of what is nested too deep."""
    found = False
    for one in values:
        if isinstance(one, int):
            found |= not -(1 << 63) <= one < 1 << 64
        elif isinstance(one, dict | list):
            if level == DEEPEST:
                return False
            found |= _holds_large_integer(one.values() if isinstance(one, dict) else one, level + 1)
    return found
