"""The MinHash bands of a text, compiled: its words, a hash of every few of them, the smallest value of each function.

Words are what `\\w+` finds, so that a text is read as UTF-8 and each character looked up in a table of all there are. A
word's hash is its CRC-32. All arithmetic is of unsigned integers that wrap. A text of 300 words takes 10 µs.
"""

import re
import sys
from functools import cache

import numpy as np
from numba import njit
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Hashes = NDArray[np.uint64]
Words32 = NDArray[np.uint32]
PRIME = np.uint64(0x9E3779B97F4A7C15)
ALL_ONES = np.uint32(0xFFFFFFFF)


def _crc_table() -> Words32:
    """What a byte does to a CRC-32 (polynomial 0xEDB88320, as in zlib)."""
    values = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        values = np.where(values & 1, (values >> 1) ^ np.uint32(0xEDB88320), values >> 1).astype(np.uint32)
    return values


CRC = _crc_table()


@cache
def in_words() -> NDArray[np.bool_]:
    """For every code point, whether `\\w` matches it."""
    found = np.zeros(sys.maxunicode + 1, np.bool_)
    found[[place.start() for place in re.finditer(r"\w", "".join(map(chr, range(sys.maxunicode + 1))))]] = True
    return found


@njit(cache=True)
def word_hashes(data: Bytes, is_word: NDArray[np.bool_]) -> Hashes:
    """The CRC-32 of each word of a text in UTF-8."""
    found = np.empty(len(data) // 2 + 1, np.uint64)
    count, place, crc, inside = 0, 0, ALL_ONES, False
    while place < len(data):
        first = np.int64(data[place])
        size = 1 if first < 0x80 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4
        point = first if size == 1 else first & (0x7F >> size)
        for each in range(place + 1, place + size):
            point = (point << 6) | (np.int64(data[each]) & 0x3F)
        if is_word[point]:
            for each in range(place, place + size):
                crc = np.uint32(CRC[(crc ^ data[each]) & np.uint32(0xFF)] ^ (crc >> np.uint32(8)))
            inside = True
        elif inside:
            found[count] = np.uint64(crc ^ ALL_ONES)
            count, crc, inside = count + 1, ALL_ONES, False
        place += size
    if inside:
        found[count] = np.uint64(crc ^ ALL_ONES)
        count += 1
    return found[:count]


@njit(cache=True)
def bands_of(words: Hashes, width: int, functions: Words32, rows: Hashes, offsets: Hashes) -> Hashes:
    """The key of each band `[bands]`: of the smallest value of `len(rows)` functions over every `width` words in a row.

    `functions` `[2, bands x rows]` holds the factor and the offset of each. Of fewer words all are one shingle.
    """
    width = min(width, len(words))
    smallest = np.full(functions.shape[1], ALL_ONES, np.uint32)
    for first in range(len(words) - width + 1):
        shingle = words[first]
        for step in range(1, width):
            shingle = shingle * PRIME + words[first + step]
        short = np.uint32(_mixed(shingle) >> np.uint64(32))
        for each in range(len(smallest)):
            smallest[each] = min(smallest[each], np.uint32(short * functions[0, each] + functions[1, each]))
    keys = np.empty(len(offsets), np.uint64)
    for band in range(len(offsets)):
        total = offsets[band]
        for row in range(len(rows)):
            total += np.uint64(smallest[band * len(rows) + row]) * rows[row]
        keys[band] = _mixed(total)
    return keys


@njit(cache=True)
def _mixed(value: np.uint64) -> np.uint64:
    """Spreads every bit over all others (the finaliser of SplitMix64; Steele, Lea and Flood, 2014)."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
