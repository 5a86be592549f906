"""Compressed files, read to their very end: members one behind the other, zero bytes behind the last, long windows.

Which compression it is, the file's first bytes say, not its name: downloads are unpacked on the way, and renamed.
pyarrow is fast and refuses a file for what others pass over: zero bytes that a tape or a block device has put behind
the data, a zstd window above 128 MB. `decompress` takes what pyarrow refuses.
"""

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Literal, Protocol

import zstandard

Codec = Literal["gzip", "zstd", "bz2", "xz"]
BEGINNINGS: Mapping[bytes, Codec] = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bz2",
    b"\xfd7zXZ\0": "xz",
    **{bytes([0x50 + number]) + b"\x2a\x4d\x18": "zstd" for number in range(16)},  # a frame to be skipped
}
FAST: frozenset[Codec] = frozenset(("gzip", "zstd", "bz2"))  # of pyarrow
LONGEST_BEGINNING = max(map(len, BEGINNINGS))
LARGEST_WINDOW = 1 << 31  # bytes: all that zstd allows
BLOCK = 1 << 16  # bytes that are read at once
STEP = 1 << 12  # compressed bytes that are unpacked at once: what is all zeros becomes 30,000 times as much
ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError)


class _Member(Protocol):
    """A decompressor of one member: gzip's, or a stream or frame of the others."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def codec_of(beginning: bytes) -> Codec | None:
    """The compression of a file that begins with these bytes; None of one that is not compressed."""
    return next((codec for start, codec in BEGINNINGS.items() if beginning.startswith(start)), None)


def decompress(read: Callable[[int], bytes], codec: Codec) -> Iterator[bytes]:
    """The contents of a compressed file, a block at a time. Raises one of `ERRORS` that says what is wrong with it."""
    block, at, following = read(BLOCK), 0, codec
    while True:
        member = _member(following)
        while not member.eof:
            if at == len(block):
                block, at = read(BLOCK), 0
                if not block:
                    raise EOFError(f"the file ends before its {codec} data does")
            piece = block[at : at + STEP]
            if unpacked := member.decompress(piece):
                yield unpacked
            at += len(piece) - len(member.unused_data)
        block, at = block[at:], 0
        while not (block := block.lstrip(b"\0")):
            if not (block := read(BLOCK)):
                return
        if len(block) < LONGEST_BEGINNING:
            block += read(BLOCK)
        if (found := codec_of(block)) is None:
            raise EOFError(f"behind its {codec} data is something else, which begins {block[:20]!r}")
        following = found


def _member(codec: Codec) -> _Member:
    match codec:
        case "gzip":
            return zlib.decompressobj(wbits=31)
        case "zstd":
            return zstandard.ZstdDecompressor(max_window_size=LARGEST_WINDOW).decompressobj()
        case "bz2":
            return bz2.BZ2Decompressor()
        case "xz":
            return lzma.LZMADecompressor()
