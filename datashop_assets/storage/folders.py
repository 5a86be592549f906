"""Folders on a disk or in a bucket, one behaviour for both.

A file appears whole or not at all: on a disk it is written beside its place, synced and renamed; in a bucket an object
is visible only once its upload is complete. Nothing here knows what the files mean.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import fsspec

from datashop_assets.storage.digests import BYTES
from datashop_assets.storage.writing import CLOSED, FULL, NO_KIND, in_bucket, is_half_written, link, on_disk, told

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.=-]*(/[A-Za-z0-9_][A-Za-z0-9_.=-]*)*")


# Puts data at an address only if nothing stands there, and says whether it did: what a bucket's own client can do.
CreateOnly = Callable[[str, bytes], bool]


@dataclass(frozen=True)
class Folder:
    """A folder named by a path or by any URI that fsspec opens (`gs://bucket/folder`)."""

    uri: str
    create_only: CreateOnly | None = field(default=None, compare=False, repr=False)

    @cached_property
    def _place(self) -> tuple[Any, str]:
        return fsspec.core.url_to_fs(self.uri)  # type: ignore[no-any-return]

    @property
    def local(self) -> Path | None:
        """The folder as a path where it is on this machine's disk, else None."""
        filesystem, path = self._place
        return Path(path) if "file" in _protocols(filesystem) else None

    def child(self, *names: str) -> "Folder":
        return Folder("/".join([self.uri.rstrip("/"), *(checked_name(name) for name in names)]), self.create_only)

    def path(self, name: str) -> str:
        return f"{self._place[1].rstrip('/')}/{checked_name(name)}"

    def exists(self, name: str) -> bool:
        return bool(self._place[0].exists(self.path(name)))

    def size(self, name: str) -> int:
        """Bytes of a file. Raises `FileNotFoundError`."""
        return int(self._place[0].size(self.path(name)))

    def names(self) -> list[str]:
        """Names of all files below, sorted; empty where the folder is not there. What is half-written has no name."""
        filesystem, path = self._place
        filesystem.invalidate_cache(path)
        found = filesystem.find(path) if filesystem.exists(path) else []
        below = (name[len(path.rstrip("/")) + 1 :] for name in found)
        return sorted(name for name in below if not is_half_written(name))

    def folders(self) -> list[str]:
        """Names of the folders directly below, sorted."""
        filesystem, path = self._place
        filesystem.invalidate_cache(path)
        found = filesystem.ls(path, detail=True) if filesystem.exists(path) else []
        return sorted(entry["name"].rstrip("/").rsplit("/", 1)[-1] for entry in found if entry["type"] == "directory")

    def open(self, name: str) -> IO[bytes]:
        return self._place[0].open(self.path(name), "rb")  # type: ignore[no-any-return]

    def read(self, name: str) -> bytes:
        with self.open(name) as file:
            return file.read()

    def checksum(self, name: str) -> str:
        """Digest of a file's bytes, read in a stream."""
        digest = hashlib.blake2b(digest_size=BYTES)
        with self.open(name) as file:
            while block := file.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()

    def write(self, name: str, data: bytes) -> None:
        """Puts `data` in place whole, replacing what stood there."""
        with self.writing(name) as file:
            file.write(data)

    def create(self, name: str, data: bytes) -> bool:
        """Puts `data` in place only if nothing stands there; says whether it did.

        On a disk this is a hard link, which is exclusive. In a bucket it is `create_only`, where the storage resource
        gave one, else fsspec's own `mode="create"`; untested against Google's real service.
        """
        if self.create_only is not None:
            checked_name(name)
            with told(f"{self.uri}/{name}", (NO_KIND,)):
                return self.create_only(f"{self.uri.rstrip('/')}/{name}", data)
        filesystem, _ = self._place
        path = self.path(name)
        try:
            with told(f"{self.uri}/{name}", (*FULL, *CLOSED, NO_KIND)):
                link(Path(path), data) if self.local else filesystem.pipe_file(path, data, mode="create")
        except FileExistsError:
            return False
        return True

    def remove(self, name: str = "") -> None:
        """Removes a file, or the folder with all that is in it. What is not there is no error."""
        filesystem, path = self._place
        target = self.path(name) if name else path
        if filesystem.exists(target):
            filesystem.rm(target, recursive=not name)

    @contextmanager
    def writing(self, name: str) -> Iterator[IO[bytes]]:
        """A file to write into that takes its place when the block ends well, and leaves no trace when it does not.

        Raises `OSError` naming the file where there is no room for it or the place cannot be written to.
        """
        path, named = self.path(name), f"{self.uri}/{name}"
        with on_disk(Path(path), named) if self.local else in_bucket(self._place[0], path, named) as file:
            yield file

    def sweep(self, keep: tuple[str, ...] = ()) -> None:
        """Removes what killed processes left half-written, but for files whose names begin with one of `keep`."""
        for left in self.local.rglob(".*") if self.local else ():
            if left.is_file() and not left.name.removeprefix(".").startswith(keep):
                left.unlink(missing_ok=True)


def checked_name(name: str) -> str:
    """`name`, if it may become part of a path: letters, digits, `_ . = -` and `/` between, never a step upward."""
    if not NAME.fullmatch(name) or ".." in name:
        raise ValueError(f"{name!r} cannot name a file: use letters, digits, '_', '.', '=', '-', and no '..'")
    return name


def _protocols(filesystem: Any) -> tuple[str, ...]:
    protocol = filesystem.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)
