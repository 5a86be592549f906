"""The manifest: what a stage's folder holds, and how it came to be. A stage is done when its manifest is there."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from datashop_assets.storage.digests import digest_of_parts

MANIFEST = "manifest.json"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class File(_Record):
    """One file of a stage. `content` covers the rows (of a shard) or the bytes (of any other file)."""

    name: str
    bytes: int
    checksum: str  # digest of the bytes as stored
    content: str
    rows: int | None = None  # None where the file is no shard
    columns: dict[str, str] | None = None  # a Parquet shard's schema
    beside: bool = False  # rows that stand beside the stage's own and are not counted with them
    identity: bool = True  # False for files that hold times or costs: they are no part of the content digest


class MadeFrom(_Record):
    """An input of a stage as it was when the stage was made: its two digests."""

    plan: str
    content: str


class Manifest(_Record):
    stage: str
    plan_digest: str
    content_digest: str
    code_version: str
    config: dict[str, Any]
    inputs: dict[str, MadeFrom]  # by stage
    files: tuple[File, ...]
    metrics: dict[str, Any]
    seconds: float
    finished_at: str  # UTC, ISO 8601
    versions: dict[str, str]  # recorded, not part of any digest
    machine: dict[str, Any]

    @property
    def shards(self) -> tuple[File, ...]:
        return tuple(file for file in self.files if file.rows is not None)

    @property
    def rows(self) -> int:
        """The stage's own rows: of `filtered_pool` the kept documents, not their attributes."""
        return sum(file.rows or 0 for file in self.files if not file.beside)

    def file(self, name: str) -> File:
        """The entry of one file. Raises `KeyError` naming the stage and what it has."""
        for file in self.files:
            if file.name == name:
                return file
        raise KeyError(f"stage {self.stage} {self.plan_digest} has no {name!r}; it has {[f.name for f in self.files]}")


def content_digest(files: tuple[File, ...]) -> str:
    """Digest of what the files say, whatever their format, compression, time or cost."""
    return digest_of_parts((file.name, file.content) for file in sorted(files, key=lambda f: f.name) if file.identity)
