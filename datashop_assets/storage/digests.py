"""Digests: short names for content, the same on every machine and in every process.

A digest is 128 bits of BLAKE2b in hex. Values are hashed as JSON with sorted keys, so that the order in which a
mapping was written never matters.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

BYTES = 16


def digest_of(value: Any) -> str:
    """Digest of any JSON value. Raises `TypeError` for a value that JSON cannot hold."""
    return digest_of_bytes(orjson.dumps(value, option=orjson.OPT_SORT_KEYS))


def digest_of_bytes(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=BYTES).hexdigest()


def keyed_hash(key: str, name: str) -> int:
    """A 64-bit hash of `name` under `key`: draws, splits and ties are decided by it, never by order of arrival."""
    seed = hashlib.blake2b(key.encode(), digest_size=BYTES).digest()
    return int.from_bytes(hashlib.blake2b(name.encode(), key=seed, digest_size=8).digest(), "big")


def unit_hash(key: str, name: str) -> float:
    """`keyed_hash` as a number in [0, 1)."""
    return (keyed_hash(key, name) >> 11) / 2.0**53


class RowsDigest:
    """Running digest of rows, whatever file format holds them."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=BYTES)

    def add(self, row: Mapping[str, Any]) -> None:
        self._hash.update(orjson.dumps(row, option=orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY))
        self._hash.update(b"\n")

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def digest_of_parts(parts: Iterable[tuple[str, str]]) -> str:
    """Digest of named digests, in the order given: what a folder of shards is called."""
    return digest_of([[name, digest] for name, digest in parts])
