"""Near duplicates by MinHash, and which texts are near a document that is held out.

Two texts are near when any band of their signatures is the same. Shingles are five lower-cased words; 64 hash
functions make 16 bands of 4, so that texts sharing half of their shingles meet with a probability of 64%, three
quarters 99.8%, a fifth 3%. Broder, "On the resemblance and containment of documents", 1997. A document of 300
words takes 15 µs on one core.

The index of a pool holds the bands of its held-out documents, 128 bytes each, and of no others. Their number is
bounded, so these bands fit into the memory of every worker.
"""

import io
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from datashop_assets.storage.digests import keyed_hash
from datashop_assets.storage.stage_folder import StageFolder

HELDOUT_BANDS = "heldout_bands.npy"  # of a pool's output
SHINGLE = 5  # words
BANDS, ROWS = 16, 4
Hashes = NDArray[np.uint64]


def _constants(name: str, count: int) -> Hashes:
    return np.array([keyed_hash(name, str(number)) | 1 for number in range(count)], np.uint64)


# 32-bit products are four times as fast as 64-bit ones, and the shingles are spread evenly before.
_FUNCTIONS = np.stack(
    [
        _constants("minhash factor", BANDS * ROWS).astype(np.uint32) | np.uint32(1),
        _constants("minhash offset", BANDS * ROWS).astype(np.uint32),
    ]
)
_BAND_FACTORS = _constants("minhash row", ROWS)
_BAND_OFFSETS = _constants("minhash band", BANDS)


def bands(text: str) -> Hashes:
    """The 16 band keys of a text, each of 64 bits. A text without a word is one itself."""
    from datashop_assets.documents.minhash_kernel import bands_of, in_words, word_hashes

    words = word_hashes(np.frombuffer(text.lower().encode(), np.uint8), in_words())
    if not len(words):
        words = np.array([zlib.crc32(text.encode())], np.uint64)
    return bands_of(words, SHINGLE, _FUNCTIONS, _BAND_FACTORS, _BAND_OFFSETS)


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
