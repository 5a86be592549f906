"""Writing what a stage makes: file by file, each whole, the manifest last.

Beside every finished file stands a receipt, so that a killed stage goes on after the last finished file and no
finished file is made twice. The receipts become the manifest.
"""

import shutil
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datashop_assets.storage.folders import Folder
from datashop_assets.storage.manifest import MANIFEST, File, Manifest

if TYPE_CHECKING:
    from datashop_assets.storage.shards import Row, Schema

RECEIPTS = "receipts"


@dataclass(frozen=True)
class StageWriter:
    """A stage's folder while it is being made. `scratch` is a local folder that outlives a killed process."""

    folder: Folder
    scratch: Path

    def finished(self, name: str) -> bool:
        """Whether this file is already in place, from this run or a killed one before it."""
        return self.folder.exists(f"{RECEIPTS}/{name}.json") and self.folder.exists(name)

    def receipt(self, name: str) -> File:
        return File.model_validate_json(self.folder.read(f"{RECEIPTS}/{name}.json"))

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

        with self.folder.writing(name) as file:
            count, content = write_rows(name, file, rows, schema, volatile)
        columns = columns_of(schema) if schema is not None else None
        return self._finish(name, content=content, rows=count, columns=columns, beside=beside)

    def put_file(self, name: str, path: Path, *, identity: bool = True) -> File:
        """Copies a local file into the stage. `identity=False` keeps it out of the content digest (times, costs)."""
        self.folder.put(name, path)
        return self._finish(name, identity=identity)

    def put_bytes(self, name: str, data: bytes, *, identity: bool = True) -> File:
        self.folder.write(name, data)
        return self._finish(name, identity=identity)

    def files(self) -> tuple[File, ...]:
        """Everything finished so far, by name."""
        found = [name for name in self.folder.child(RECEIPTS).names() if name.endswith(".json")]
        return tuple(self.receipt(name.removesuffix(".json")) for name in found)

    def close(self, manifest: Manifest) -> None:
        """Puts the manifest in place, which makes the stage done, and clears what only an unfinished one needs."""
        self.folder.write(MANIFEST, manifest.model_dump_json(indent=1).encode())
        self.folder.child(RECEIPTS).remove()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def _finish(self, name: str, content: str | None = None, **entry: Any) -> File:
        checksum = self.folder.checksum(name)
        file = File(name=name, bytes=self.folder.size(name), checksum=checksum, content=content or checksum, **entry)
        self.folder.write(f"{RECEIPTS}/{name}.json", file.model_dump_json().encode())
        return file
