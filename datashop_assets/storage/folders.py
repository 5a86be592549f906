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
from datashop_assets.storage.writing import CLOSED, FULL, NO_KIND, explaining_errors, in_bucket, link, on_disk

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
        """Without fsspec's cache of listings: what other processes write would not be there, at its old size."""
        return fsspec.core.url_to_fs(self.uri, use_listings_cache=False)  # type: ignore[no-any-return]

    @property
    def local(self) -> Path | None:
        """The folder as a path where it is on this machine's disk, else None."""
        filesystem, path = self._place
        return Path(path) if "file" in _protocols(filesystem) else None

    def child(self, *names: str) -> "Folder":
        return Folder("/".join([self.uri.rstrip("/"), *(checked_name(name) for name in names)]), self.create_only)

    def path(self, name: str) -> str:
        try:
            return f"{self._place[1].rstrip('/')}/{checked_name(name)}"
        except ValueError as error:
            raise ValueError(f"{self.uri}: {error}") from None

    def exists(self, name: str) -> bool:
        return bool(self._place[0].exists(self.path(name)))

    def size(self, name: str) -> int:
        """Bytes of a file. Raises `FileNotFoundError`."""
        return int(self._place[0].size(self.path(name)))

    def sizes(self) -> dict[str, int]:
        """Name -> bytes of all files below, sorted by name, in one listing; empty where the folder is not there.

        What is half-written has no name, nor has a file of somebody else's whose name none of ours could have.
        """
        filesystem, path = self._place
        found = filesystem.find(path, detail=True)
        below = {name[len(path.rstrip("/")) + 1 :]: int(entry.get("size") or 0) for name, entry in found.items()}
        return {name: below[name] for name in sorted(below) if is_name(name)}

    def names(self) -> list[str]:
        """Names of all files below, sorted, as `sizes` gives them."""
        return list(self.sizes())

    def folders(self) -> list[str]:
        """Names of the folders directly below, sorted; without those that have a name none of ours could have."""
        filesystem, path = self._place
        found = filesystem.ls(path, detail=True) if filesystem.exists(path) else []
        names = (entry["name"].rstrip("/").rsplit("/", 1)[-1] for entry in found if entry["type"] == "directory")
        return sorted(filter(is_name, names))

    def move_into(self, target: "Folder", but: tuple[str, ...] = ()) -> None:
        """Moves all that is in the folder into another of the same storage, but for names that begin with one of `but`.

        A file in the folder's own place is moved as a whole.
        """
        filesystem, path = self._place
        _, place = target._place
        if filesystem.isfile(path):
            filesystem.makedirs(place.rpartition("/")[0], exist_ok=True)
            filesystem.mv(path, place)
            return
        filesystem.makedirs(place, exist_ok=True)
        for entry in filesystem.ls(path, detail=False):
            name = entry.rstrip("/").rpartition("/")[2]
            if not name.startswith(but):
                filesystem.mv(entry, f"{place}/{name}", recursive=True)

    def is_file(self) -> bool:
        """Whether a file stands in the folder's own place."""
        return self.local is not None and self.local.is_file()

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
        with self.writing(name, len(data)) as file:
            file.write(data)

    def create(self, name: str, data: bytes) -> bool:
        """Puts `data` in place only if nothing stands there; says whether it did.

        On a disk this is a hard link, which is exclusive. In a bucket it is `create_only`, where the storage resource
        gave one, else fsspec's own `mode="create"`; untested against Google's real service.
        """
        if self.create_only is not None:
            checked_name(name)
            with explaining_errors(f"{self.uri}/{name}", (NO_KIND,)):
                return self.create_only(f"{self.uri.rstrip('/')}/{name}", data)
        filesystem, _ = self._place
        path = self.path(name)
        try:
            with explaining_errors(
                f"{self.uri}/{name}", (*FULL, *CLOSED, NO_KIND), Path(path) if self.local else None, len(data)
            ):
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
    def writing(self, name: str, size: int | None = None) -> Iterator[IO[bytes]]:
        """A file to write into that takes its place when the block ends well, and leaves no trace when it does not.

        `size` is how many bytes are to be written, where that is known. Raises `OSError` naming the file where there is
        no room for it, saying how much there is, or the place cannot be written to.
        """
        path, named = self.path(name), f"{self.uri}/{name}"
        with on_disk(Path(path), named, size) if self.local else in_bucket(self._place[0], path, named, size) as file:
            yield file

    def sweep(self, keep: tuple[str, ...] = ()) -> None:
        """Removes what killed processes left half-written, but for files whose names begin with one of `keep`."""
        for left in self.local.rglob(".*") if self.local else ():
            if left.is_file() and not left.name.removeprefix(".").startswith(keep):
                left.unlink(missing_ok=True)


def is_name(name: str) -> bool:
    """Whether it may become part of a path: letters, digits, `_ . = -` and `/` between, never a step upward."""
    return bool(NAME.fullmatch(name)) and ".." not in name


def checked_name(name: str) -> str:
    """`name`, if it may become part of a path, as `is_name` says."""
    if not is_name(name):
        raise ValueError(f"{name!r} cannot name a file: use letters, digits, '_', '.', '=', '-', and no '..'")
    return name


def _protocols(filesystem: Any) -> tuple[str, ...]:
    protocol = filesystem.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)
