"""Reading what a stage has made. Nothing is read that the manifest does not vouch for."""

import atexit
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from datashop_assets.storage.digests import digest_of, digest_of_bytes
from datashop_assets.storage.folders import Folder
from datashop_assets.storage.manifest import MANIFEST, File, Manifest

if TYPE_CHECKING:
    import polars as pl


def removal(folder: Folder) -> str:
    """What to do about a stage whose folder is damaged."""
    return f"remove {folder.uri}; `datashop run PROMPT --until {_stage(folder)}` then makes it again"


def _stage(folder: Folder) -> str:
    """The name of the stage that a folder is of: `stages/<stage>/<digest>`."""
    return folder.uri.rstrip("/").split("/")[-2]


class DamagedStageError(Exception):
    """A stage's folder is not what its manifest says. The message names the file and the fix."""

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(problem, fix)
        self.problem, self.fix = problem, fix

    def __str__(self) -> str:
        return f"{self.problem}; {self.fix}"


@dataclass(frozen=True)
class StageFolder:
    """A finished stage: its manifest and its files, each checked before it is believed.

    `known` is its manifest, where somebody has just read it.
    """

    folder: Folder
    known: Manifest | None = field(default=None, compare=False, repr=False, kw_only=True)

    @property
    def uri(self) -> str:
        return self.folder.uri

    @cached_property
    def manifest(self) -> Manifest:
        """Raises `DamagedStageError` where there is none, or it cannot be read."""
        manifest = self.known or read_manifest(self.folder)
        if manifest is None:
            raise DamagedStageError(
                f"{self.uri} has no {MANIFEST}: the stage is not finished",
                f"`datashop run PROMPT --until {_stage(self.folder)}` finishes it",
            )
        return manifest

    def damaged(self, problem: str) -> DamagedStageError:
        """The error, with the folder to remove and the command that makes it again."""
        return DamagedStageError(problem, removal(self.folder))

    @property
    def metrics(self) -> dict[str, Any]:
        return self.manifest.metrics

    @property
    def shards(self) -> tuple[File, ...]:
        return self.manifest.shards

    def check(self) -> list[str]:
        """The names of all files that stand in the folder, those beside the stage's own included.

        Raises `DamagedStageError` naming the first file that is missing or has another size.
        """
        sizes = self.folder.sizes()
        for file in self.manifest.files:
            self._check_size(file, sizes.get(file.name))
        return list(sizes)

    def rows(self, name: str) -> Iterator[dict[str, Any]]:
        """The rows of one shard, in order. A shard that is not as written raises `DamagedStageError` first."""
        from datashop_assets.storage.shards import read_rows

        self._check_bytes(self.manifest.file(name))
        with self.folder.open(name) as file:
            yield from read_rows(name, file)

    def all_rows(self) -> Iterator[dict[str, Any]]:
        for shard in self.shards:
            yield from self.rows(shard.name)

    def table(self, name: str | None = None, columns: Sequence[str] | None = None) -> "pl.DataFrame":
        """One Parquet shard, or all of them below each other, as a frame in memory; of `columns` only, where given."""
        import polars as pl

        names = [name] if name else [shard.name for shard in self.shards if shard.name.endswith(".parquet")]
        chosen = None if columns is None else list(columns)
        return pl.concat([pl.read_parquet(self.file(each), columns=chosen) for each in names], how="vertical")

    def file(self, name: str) -> Path:
        """A file as a checked local path; a copy where the folder is in a bucket."""
        entry = self.manifest.file(name)
        self._check_bytes(entry)
        if (local := self.folder.local) is not None:
            return local / name
        copy = self._copies / name
        if not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(self.folder.read(name))
        return copy

    def content(self, name: str) -> bytes:
        """The bytes of a file, checked as they are returned. A link in its place is not the file that was written."""
        entry = self.manifest.file(name)
        if (local := self.folder.local) is not None and (local / name).is_symlink():
            raise self.damaged(f"{self.uri}/{name} is a link and not the file that was written")
        self._check_size(entry, self._size(entry))
        with self.folder.open(name) as file:
            data = file.read(entry.bytes + 1)
        self._check_checksum(entry, digest_of_bytes(data))
        return data

    def files(self, prefix: str) -> dict[str, Path]:
        """All files whose names begin with `prefix`, by name."""
        return {file.name: self.file(file.name) for file in self.manifest.files if file.name.startswith(prefix)}

    @cached_property
    def _copies(self) -> Path:
        """One place, as a model's files must stand beside each other; another for a stage that is made again."""
        return _copies() / digest_of([self.uri, *(file.checksum for file in self.manifest.files)])

    def _check_size(self, file: File, size: int | None) -> None:
        if size is None:
            raise self.damaged(f"{self.uri} has lost {file.name}")
        if size != file.bytes:
            raise self.damaged(f"{self.uri}/{file.name} has {size} bytes, its manifest says {file.bytes}")

    def _check_bytes(self, file: File) -> None:
        self._check_size(file, self._size(file))
        self._check_checksum(file, self.folder.checksum(file.name))

    def _size(self, file: File) -> int | None:
        try:
            return self.folder.size(file.name)
        except FileNotFoundError:
            return None

    def _check_checksum(self, file: File, checksum: str) -> None:
        if checksum != file.checksum:
            raise self.damaged(
                f"{self.uri}/{file.name} was altered after it was written (checksum {checksum}, "
                f"manifest {file.checksum})"
            )


def read_manifest(folder: Folder) -> Manifest | None:
    """The manifest of a stage; None where there is none. Raises `DamagedStageError` where it cannot be read."""
    try:
        return Manifest.model_validate_json(folder.read(MANIFEST))
    except FileNotFoundError:
        return None
    except (IsADirectoryError, NotADirectoryError) as error:
        raise _unreadable(folder, str(error.strerror)) from error
    except ValidationError as error:
        raise _unreadable(folder, problems(error)) from error


def _unreadable(folder: Folder, why: str) -> DamagedStageError:
    return DamagedStageError(f"{folder.uri}/{MANIFEST} cannot be read: {why}", removal(folder))


def problems(error: ValidationError) -> str:
    """What pydantic found wrong, without what the value was."""
    return "; ".join(f"{'.'.join(map(str, one['loc']))} {one['msg']}".strip() for one in error.errors())


@cache
def _copies() -> Path:
    """Where this process keeps local copies of files in buckets, until it ends."""
    place = Path(tempfile.mkdtemp(prefix="datashop-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return place
