"""Near duplicates by MinHash, and which texts are near a document that is held out.

Two texts are near when any band of their signatures is the same. Shingles are five lower-cased words; 64 hash
functions make 16 bands of 4, so that texts sharing half of their shingles meet with a probability of 64%, three
quarters 99.8%, a fifth 3%. Broder, "On the resemblance and containment of documents", 1997. A document of 80 words
takes 0.18 ms on one core.

The index of a pool holds the bands of its held-out documents, 128 bytes each, and of no others. Their number is
bounded, so these bands fit into the memory of every worker.
"""

import io
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from datashop_assets.storage.digests import keyed_hash
from datashop_assets.storage.stage_folder import StageFolder

HELDOUT_BANDS = "heldout_bands.npy"  # of a pool's output
WORDS = re.compile(r"\w+")
SHINGLE = 5  # words
BANDS, ROWS = 16, 4
BLOCK = 4096  # shingles hashed at once: 1 MB of hashes
Hashes = NDArray[np.uint64]

_PRIME = np.uint64(0x9E3779B97F4A7C15)


def _constants(name: str, count: int) -> Hashes:
    return np.array([keyed_hash(name, str(number)) | 1 for number in range(count)], np.uint64)


# 32-bit products are four times as fast as 64-bit ones, and the shingles are spread evenly before.
_FACTORS = (_constants("minhash factor", BANDS * ROWS).astype(np.uint32) | np.uint32(1))[:, None]
_OFFSETS = _constants("minhash offset", BANDS * ROWS).astype(np.uint32)[:, None]
_BAND_FACTORS = _constants("minhash row", ROWS)
_BAND_OFFSETS = _constants("minhash band", BANDS)


def bands(text: str) -> Hashes:
    """The 16 band keys of a text, each of 64 bits."""
    shingles = (_shingles(text) >> np.uint64(32)).astype(np.uint32)
    smallest = np.full(BANDS * ROWS, np.iinfo(np.uint32).max, np.uint32)
    for start in range(0, len(shingles), BLOCK):
        hashes = shingles[start : start + BLOCK] * _FACTORS + _OFFSETS
        np.minimum(smallest, hashes.min(axis=1), out=smallest)
    return _mixed((smallest.reshape(BANDS, ROWS) * _BAND_FACTORS).sum(axis=1, dtype=np.uint64) + _BAND_OFFSETS)


@dataclass(frozen=True, eq=False)
class HeldoutBands:
    """The band keys of a pool's held-out documents: sorted, no key twice. It travels to workers."""

    keys: Hashes

    @classmethod
    def of(cls, texts: Iterable[str]) -> Self:
        return cls.merged([bands(text) for text in texts])

    @classmethod
    def merged(cls, parts: Sequence[Hashes]) -> Self:
        return cls(np.unique(np.concatenate(parts)) if parts else np.empty(0, np.uint64))

    @classmethod
    def load(cls, pool: StageFolder) -> Self:
        """Those of a finished `pretraining_pool`."""
        return cls(np.load(pool.file(HELDOUT_BANDS), allow_pickle=False))

    def near(self, texts: Iterable[str]) -> list[bool]:
        """For each text, whether it shares a band with a held-out document. A held-out document is near itself."""
        return [self._is_near(text) for text in texts]

    def to_bytes(self) -> bytes:
        buffer = io.BytesIO()
        np.save(buffer, self.keys, allow_pickle=False)
        return buffer.getvalue()

    def _is_near(self, text: str) -> bool:
        if not len(self.keys):
            return False
        keys = bands(text)
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return bool((self.keys[places] == keys).any())


def _shingles(text: str) -> Hashes:
    """A 64-bit hash of every five consecutive words; of all words where there are fewer."""
    words = WORDS.findall(text.lower()) or [text]
    hashes = np.fromiter((zlib.crc32(word.encode()) for word in words), np.uint64, len(words))
    width = min(SHINGLE, len(words))
    count = len(words) - width + 1
    combined = hashes[:count].copy()
    for step in range(1, width):
        combined = combined * _PRIME + hashes[step : step + count]
    return _mixed(combined)


def _mixed(values: Hashes) -> Hashes:
    """Spreads every bit over all others (the finaliser of SplitMix64; Steele, Lea and Flood, 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
