"""A file or a folder written whole or not at all, on a disk and in a bucket, and what is said where that fails."""

import errno
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)  # only writing fails so
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)  # more room would help
CLOSED = (errno.EACCES, errno.EPERM, errno.ENOTDIR)
NO_KIND = None  # what a bucket's errors have


@contextmanager
def explaining_errors(
    place: str, kinds: tuple[int | None, ...], disk: Path | None = None, size: int | None = None
) -> Iterator[None]:
    """Says of an `OSError` of these kinds which place cannot be written to, and what helps.

    Where it is on this machine's disk, also how much room there is, and how much `size`, if it is known, would take.
    """
    try:
        yield
    except OSError as error:
        if isinstance(error, FileExistsError) or error.errno not in kinds:
            raise
        raise OSError(
            error.errno or errno.EIO,
            f"{place} cannot be written: {error.strerror or error}. Make room there{_free_space(error, disk, size)}, "
            "let this account write there, or name another root; then run again: finished files are kept",
        ) from error


@contextmanager
def replacing(place: Path) -> Iterator[Path]:
    """A path beside `place`, for what writes a file by name. The file is synced and renamed at the end; nothing is left
    of it after an error. What writes to an open file takes `on_disk`.
    """
    ready = _beside(place)
    try:
        yield ready
        with ready.open("rb+") as file:
            os.fsync(file.fileno())
        ready.replace(place)
    finally:
        ready.unlink(missing_ok=True)


@contextmanager
def creating_folder(place: Path) -> Iterator[Path]:
    """An empty folder beside `place`, to be filled; it becomes `place` when the block ends well, else it is removed.

    Its files are synced first. Of several processes that do so at once the first one's folder stays.
    """
    ready = _beside(place)
    ready.mkdir()
    try:
        yield ready
        for file in (one for one in ready.rglob("*") if one.is_file()):
            with file.open("rb+") as opened:
                os.fsync(opened.fileno())
        try:
            ready.rename(place)
        except OSError:
            if not place.is_dir():
                raise
    finally:
        shutil.rmtree(ready, ignore_errors=True)


@contextmanager
def on_disk(place: Path, named: str | None = None, size: int | None = None) -> Iterator[IO[bytes]]:
    """Written beside its place, synced, then renamed. Errors name `named`, or else the place."""
    named = named or str(place)
    with explaining_errors(named, (*FULL, *CLOSED), place, size):
        ready = _beside(place)
        opened = ready.open("wb")
    with explaining_errors(named, FULL, place, size):  # what the block reads may be closed to this account, too
        try:
            with opened as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            with explaining_errors(named, CLOSED):
                ready.replace(place)
        finally:
            ready.unlink(missing_ok=True)


@contextmanager
def in_bucket(filesystem: Any, path: str, named: str, size: int | None = None) -> Iterator[IO[bytes]]:
    """Written to a local file, then uploaded; an object is visible only once its upload is complete."""
    with tempfile.TemporaryDirectory() as scratch:
        ready = Path(scratch) / "file"
        with explaining_errors(str(ready), FULL, ready, size), ready.open("wb") as file:
            yield file
        with explaining_errors(named, (*CLOSED, NO_KIND)):
            filesystem.put_file(str(ready), path)
        _look_up(filesystem, path, ready.stat().st_size, named)


def link(place: Path, data: bytes) -> None:
    """Raises `FileExistsError` where something stands there: of many at once, one succeeds."""
    ready = _beside(place)
    try:
        ready.write_bytes(data)
        os.link(ready, place)
    finally:
        ready.unlink(missing_ok=True)


def free_bytes(place: Path) -> int:
    """Free on the disk that a path, or where it will be, is on."""
    return shutil.disk_usage(next(one for one in (place, *place.absolute().parents) if one.exists())).free


def _free_space(error: OSError, disk: Path | None, size: int | None) -> str:
    if disk is None or error.errno not in DISK_FULL:
        return ""
    needed = "" if size is None else f", {size:,} are needed"
    return f" ({free_bytes(disk):,} bytes are free{needed})"


def _beside(place: Path) -> Path:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(place.parent)) from error
    return place.with_name(f".{place.name}.{uuid.uuid4().hex}")


def _look_up(filesystem: Any, path: str, size: int, named: str) -> None:
    """Asks a bucket for what it has just taken. Raises `OSError` where it is not there: a run is then retried."""
    found = int(filesystem.size(path)) if filesystem.exists(path) else None
    if found != size:
        raise OSError(f"{named}: {size} bytes were written and {found} are there; run again")
