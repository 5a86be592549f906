"""Writing what a stage makes: file by file, each whole, the manifest last.

Beside every finished file stands a receipt, so that a killed stage goes on after the last finished file and no
finished file is made twice. The receipts become the manifest.
"""

import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import orjson
from pydantic import ValidationError

from datashop_assets.storage.folders import Folder
from datashop_assets.storage.leases import CLAIM, LEASE, check_held
from datashop_assets.storage.manifest import MANIFEST, File, Manifest
from datashop_assets.storage.scratch import remove_scratch
from datashop_assets.storage.stage_folder import DamagedStageError, StageFolder, problems, removal

if TYPE_CHECKING:
    import polars as pl

    from datashop_assets.storage.shards import Row, Schema

RECEIPTS = "receipts"
BEGUN = "begun"  # beside the receipts: the content digests of the inputs
LEASES = (LEASE, CLAIM)


@dataclass(frozen=True)
class StageWriter:
    """A stage's folder while it is being made. `scratch` is a local folder that outlives a killed process; see
    `storage.scratch`.

    `holder` is who holds the folder's lease, where there is one: a writer that has lost it puts nothing in place, for
    what stands there is another run's by now. It then raises `LostLeaseError`.
    """

    folder: Folder
    scratch: Path
    holder: str = ""

    def begin(self, inputs: Mapping[str, str], reopen: bool = False) -> None:
        """Makes the folder ready to be written from inputs with these content digests.

        What a killed run left stays if it was made from the same inputs. A finished stage is taken up again with all
        its files (`reopen`), or else cleared.
        """
        begun = orjson.dumps(inputs, option=orjson.OPT_SORT_KEYS)
        receipts = self.folder.child(RECEIPTS)
        self.folder.sweep(keep=LEASES)  # those of runs that wait are written just now
        if self.folder.exists(MANIFEST) and reopen:
            for file in StageFolder(self.folder).manifest.files:
                receipts.write(f"{file.name}.json", file.model_dump_json().encode())
            receipts.write(BEGUN, begun)
            self.folder.remove(MANIFEST)
        elif self.folder.exists(MANIFEST) or not receipts.exists(BEGUN) or receipts.read(BEGUN) != begun:
            self._clear()
            receipts.create(BEGUN, begun)

    def _clear(self) -> None:
        """Removes all but leases, the manifest first."""
        self.folder.remove(MANIFEST)
        for name in self.folder.names():
            if not name.startswith(LEASES):
                self.folder.remove(name)
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir(parents=True, exist_ok=True)

    def finished(self, name: str) -> bool:
        """Whether this file is already in place, from this run or a killed one before it.

        Its receipt must be readable, and the file of the size that the receipt says; else it is to be made again.
        """
        try:
            receipt = self.receipt(name)
            return receipt.name == name and self.folder.size(name) == receipt.bytes
        except (FileNotFoundError, DamagedStageError):
            return False

    def receipt(self, name: str) -> File:
        """Raises `FileNotFoundError`, and `DamagedStageError` where it cannot be read."""
        place = f"{RECEIPTS}/{name}.json"
        try:
            return File.model_validate_json(self.folder.read(place))
        except (ValidationError, IsADirectoryError) as error:
            wrong = problems(error) if isinstance(error, ValidationError) else error.strerror
            unread = f"{self.folder.uri}/{place} cannot be read: {wrong}"
            raise DamagedStageError(unread, removal(self.folder)) from error

    def write_rows(
        self,
        name: str,
        rows: "Iterable[Row]",
        schema: "Schema | None" = None,
        *,
        volatile: Collection[str] = (),
        beside: bool = False,
    ) -> File:
        """Writes one shard, streaming. Columns in `volatile` (times, costs) are no part of the content digest.

        `beside` marks rows that are not counted as the stage's own.
        """
        from datashop_assets.storage.shards import columns_of, write_rows

        with self._writing(name) as file:
            count, content = write_rows(name, file, rows, schema, volatile)
        columns = columns_of(schema) if schema is not None else None
        return self._finish(name, content=content, rows=count, columns=columns, beside=beside)

    def write_frames(
        self, name: str, frames: "Iterable[pl.DataFrame]", schema: "Schema", *, beside: bool = False
    ) -> File:
        """Writes one Parquet shard from frames of its columns, streaming."""
        from datashop_assets.storage.shards import columns_of, write_frames

        with self._writing(name) as file:
            count, content = write_frames(file, frames, schema)
        return self._finish(name, content=content, rows=count, columns=columns_of(schema), beside=beside)

    def put_file(self, name: str, path: Path, *, identity: bool = True) -> File:
        """Copies a local file into the stage. `identity=False` keeps it out of the content digest (times, costs)."""
        with self._writing(name, path.stat().st_size) as file, path.open("rb") as source:
            shutil.copyfileobj(source, file, 1 << 20)
        return self._finish(name, identity=identity)

    def put_bytes(self, name: str, data: bytes, *, identity: bool = True) -> File:
        with self._writing(name, len(data)) as file:
            file.write(data)
        return self._finish(name, identity=identity)

    def remove(self, name: str) -> None:
        """Removes a file that was needed on the way only. What is not there is no error."""
        self._check_held()
        self.folder.child(RECEIPTS).remove(f"{name}.json")
        self.folder.remove(name)

    def files(self) -> tuple[File, ...]:
        """Everything finished so far, by name. What is no receipt, and belongs to no file, is passed over.

        Raises `DamagedStageError` where the receipt of a file cannot be read.
        """
        found: list[File] = []
        for name in self.folder.child(RECEIPTS).names():
            file = name.removesuffix(".json")
            if name == file:
                continue
            try:
                found.append(self.receipt(file))
            except DamagedStageError:
                if self.folder.exists(file):
                    raise
        return tuple(found)

    def close(self, manifest: Manifest) -> None:
        """Puts the manifest in place, which makes the stage done, and clears what only an unfinished one needs."""
        data = manifest.model_dump_json(indent=1).encode()
        with self._writing(MANIFEST, len(data)) as file:
            file.write(data)
        tidy(self.folder, self.scratch)

    @contextmanager
    def _writing(self, name: str, size: int | None = None) -> Iterator[IO[bytes]]:
        """A file that takes its place if the lease is still held when all is written."""
        with self.folder.writing(name, size) as file:
            yield file
            self._check_held()

    def _check_held(self) -> None:
        if self.holder:
            check_held(self.folder, self.holder)

    def _finish(self, name: str, content: str | None = None, **entry: Any) -> File:
        checksum = self.folder.checksum(name)
        file = File(name=name, bytes=self.folder.size(name), checksum=checksum, content=content or checksum, **entry)
        self.folder.write(f"{RECEIPTS}/{name}.json", file.model_dump_json().encode())
        return file


def tidy(folder: Folder, scratch: Path) -> None:
    """Clears what only an unfinished stage needs. It can be done any number of times, by whoever holds the lease."""
    folder.child(RECEIPTS).remove()
    folder.sweep(keep=LEASES)
    remove_scratch(scratch.with_name(scratch.name.partition(".")[0]))


def is_untidy(names: Collection[str], scratch: Path) -> bool:
    """Whether a finished stage with these files has leftovers of a build that was killed after its manifest stood."""
    return scratch.exists() or any(name.startswith((*LEASES, f"{RECEIPTS}/")) for name in names)
