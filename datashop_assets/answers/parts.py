"""Parts: the small files in which answers are kept. A part is written once, whole, and never changed.

Its name ends in the digest of its bytes, so that a reader knows a damaged one. It is a sequence of zstd frames of JSON
lines, so that parts are joined without being read.
"""

import uuid
from dataclasses import dataclass, field

import zstandard

from datashop_assets.storage.digests import digest_of_bytes
from datashop_assets.storage.folders import Folder

ENDING = ".jsonl.zst"
DAMAGED = "damaged"
JOINED = 64  # parts of one writer that are joined into one


def is_part(name: str) -> bool:
    return name.endswith(ENDING) and "/" not in name


def read_part(folder: Folder, name: str) -> list[bytes] | None:
    """The lines of a part. None where it is damaged: it is then set aside in `damaged/`.

    Raises `FileNotFoundError` where its writer has joined it with others in the meantime.
    """
    data = folder.read(name)
    if digest_of_bytes(data) != name.removesuffix(ENDING).rpartition("-")[2]:
        folder.write(f"{DAMAGED}/{name}", data)
        folder.remove(name)
        return None
    with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as plain:
        return plain.read().splitlines()


@dataclass
class PartWriter:
    """Adds parts under a name of its own, so that any number of writers can add to one folder at once."""

    folder: Folder
    _name: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    _count: int = 0
    _small: dict[str, bytes] = field(default_factory=dict)  # not read back: what is stored may be damaged by now

    def write(self, lines: list[bytes]) -> None:
        data = zstandard.compress(b"\n".join(lines) + b"\n", 3)
        self._small[self._put(data)] = data
        if len(self._small) >= JOINED:
            self._join()

    def _join(self) -> None:
        """The joined part is in place before the small ones go: a reader finds every answer once at least."""
        self._put(b"".join(self._small.values()))
        for name in self._small:
            self.folder.remove(name)
        self._small.clear()

    def _put(self, data: bytes) -> str:
        self._count += 1
        name = f"part-{self._name}-{self._count:06d}-{digest_of_bytes(data)}{ENDING}"
        self.folder.write(name, data)
        return name
