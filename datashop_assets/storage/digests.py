"""Digests: short names for content, the same on every machine and in every process.

A digest is 128 bits of BLAKE2b in hex. Values are hashed as JSON with sorted keys, so that the order in which a
mapping was written never matters.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import orjson

from datashop_assets.storage import exact_json

if TYPE_CHECKING:
    import polars as pl

BYTES = 16


def digest_of(value: Any) -> str:
    """Digest of any JSON value. Raises `TypeError` for a value that JSON cannot hold."""
    return digest_of_bytes(orjson.dumps(value, option=orjson.OPT_SORT_KEYS))


def digest_of_bytes(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=BYTES).hexdigest()


def keyed_hash(key: str, name: str) -> int:
    """A 64-bit hash of `name` under `key`: draws, splits and ties are decided by it, never by order of arrival."""
    return int.from_bytes(hashlib.blake2b(name.encode(), key=_seed(key), digest_size=8).digest(), "big")


@lru_cache(64)
def _seed(key: str) -> bytes:
    return hashlib.blake2b(key.encode(), digest_size=BYTES).digest()


def unit_hash(key: str, name: str) -> float:
    """`keyed_hash` as a number in [0, 1)."""
    return (keyed_hash(key, name) >> 11) / 2.0**53


class RowsDigest:
    """Running digest of rows, whatever file format holds them."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=BYTES)

    def add(self, row: Mapping[str, Any]) -> None:
        self._hash.update(exact_json.dumps(row, orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY))
        self._hash.update(b"\n")

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


class ColumnsDigest:
    """Running digest of a table, column by column: the same however the table is cut into frames."""

    def __init__(self) -> None:
        self._hashes: dict[str, Any] = {}

    def add(self, frame: "pl.DataFrame") -> None:
        """Raises `TypeError` for a column that holds neither numbers nor text."""
        for column in frame.iter_columns():
            for part, data in _bytes_of(column):
                key = f"{column.name} {part}"
                self._hashes.setdefault(key, hashlib.blake2b(digest_size=BYTES)).update(data)

    def hexdigest(self) -> str:
        return digest_of_parts((key, self._hashes[key].hexdigest()) for key in sorted(self._hashes))


def _bytes_of(column: "pl.Series") -> Iterator[tuple[str, bytes]]:
    """What a column's values are, little-endian: which are missing, and either the numbers or lengths and letters."""
    yield "missing", column.is_null().to_numpy().tobytes()
    kind = str(column.dtype)
    if kind == "String":
        values = column.fill_null("")
        yield "lengths", values.str.len_bytes().to_numpy().astype("<i8").tobytes()
        yield "letters", "".join(values).encode()
    elif column.dtype.is_numeric() or kind == "Boolean":
        numbers = column.fill_null(False if kind == "Boolean" else 0).to_numpy()
        yield "numbers", numbers.astype(numbers.dtype.newbyteorder("<")).tobytes()
    else:
        raise TypeError(f"column {column.name!r} is {kind}; a table holds numbers and text")


def digest_of_parts(parts: Iterable[tuple[str, str]]) -> str:
    """Digest of named digests, in the order given: what a folder of shards is called."""
    return digest_of([[name, digest] for name, digest in parts])
