"""Draws of as much as is needed, in one pass and in memory that the need bounds, however large the pool."""

import heapq
from collections.abc import Iterator
from typing import Generic, TypeVar

import numpy as np

from datashop_assets.storage.digests import keyed_hash

Item = TypeVar("Item")


class Draw(Generic[Item]):
    """Keeps the offered items with the lowest keys, as few as reach `need` in total size.

    With keys that are hashes this is a simple random draw without replacement, and the order of offering is of no
    account. Keys of different items must differ.
    """

    def __init__(self, need: int) -> None:
        self.need = need
        self.size = 0
        self._heap: list[tuple[int, int, Item]] = []  # (-key, size, item): the highest key is on top

    @property
    def limit(self) -> int:
        """An item whose key is not below this is not wanted."""
        return -self._heap[0][0] if self._heap and self.size >= self.need else 1 << 64

    def offer(self, key: int, size: int, item: Item) -> None:
        if key >= self.limit:
            return
        heapq.heappush(self._heap, (-key, size, item))
        self.size += size
        while self.size - self._heap[0][1] >= self.need:
            self.size -= heapq.heappop(self._heap)[1]

    def keyed(self) -> Iterator[tuple[int, Item]]:
        """What was drawn, lowest key first."""
        for key, _, item in sorted(self._heap, key=lambda entry: -entry[0]):
            yield -key, item


def row_keys(purpose: str, shard: str, rows: np.ndarray) -> np.ndarray:
    """rows [N] of a shard -> uint64 [N], each a hash of purpose, shard and row.

    `keyed_hash` for the shard and SplitMix64 (Steele et al., 2014, doi:10.1145/2660193.2660195) for the rows: some 100
    million keys a second, where hashing each name takes a second for a million.
    """
    return scramble(rows.astype(np.uint64) + np.uint64(keyed_hash(purpose, shard) >> 1))


def scramble(values: np.ndarray) -> np.ndarray:
    """The output function of SplitMix64, a one-to-one map of uint64 [N] onto itself."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(values ^ (values >> np.uint64(31)))
