"""The files that a pool or sample is made of: which they are, in which order, what their shards are called.

A plan digest knows of its sources enough to notice a changed file without reading any. Listing costs one request a
folder. A file counts as changed when its name, size or version does: the checksum or generation that a bucket keeps, or
the time of its last change on a disk.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import fsspec
from pydantic import BaseModel, ConfigDict

from datashop_assets.core.step import StepConfig
from datashop_assets.datasets import EMBEDDED, EMBEDDED_DIGEST, resolve_uri
from datashop_assets.prompts.settings import Data
from datashop_assets.storage.digests import digest_of

FORMATS: Mapping[str, str | None] = {  # suffix -> compression of its lines; None: Parquet
    ".jsonl": "",
    ".jsonl.gz": "gzip",
    ".json.gz": "gzip",
    ".jsonl.zst": "zstd",
    ".jsonl.zstd": "zstd",
    ".json.zst": "zstd",
    ".parquet": None,
}
# What says that a file's bytes have changed, by filesystem, the surest first.
VERSIONS = ("md5Hash", "etag", "ETag", "blob_id", "generation", "mtime", "created")
LONGEST_NAME = 100  # characters
SOURCES = "sources.json"  # of a pool's output: where its files are
FIELDS = {"text_field", "id_field", "source_field"}
Fingerprint = str | tuple[tuple[str, int, str], ...]  # name, bytes and version of every file; of a preset its digest


@dataclass(frozen=True, slots=True)
class Fields:
    """Names of the fields that a document is made of. A dot leads into nested objects: `metadata.language`."""

    text: str = "text"
    id: str = "id"
    source: str = "source"


class DocumentSource(StepConfig):
    """Documents that a prompt names, and what tells that they have changed."""

    uri: str
    text_field: str = "text"
    id_field: str = "id"
    source_field: str = "source"
    fingerprint: Fingerprint

    @classmethod
    def of(cls, data: Data) -> Self:
        """Lists the files. Raises what `find_source_files` and `resolve_uri` raise."""
        uri = resolve_uri(data.uri)
        return cls(uri=uri, fingerprint=fingerprint({"uri": uri}), **data.model_dump(include=FIELDS))

    @property
    def fields(self) -> Fields:
        return Fields(self.text_field, self.id_field, self.source_field)

    @property
    def listed_bytes(self) -> int:
        """Of all files; 0 of the embedded documents, which are few."""
        return 0 if isinstance(self.fingerprint, str) else sum(size for _, size, _ in self.fingerprint)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a pool. `shard` is its name in every later stage; `name` its path below what the glob shares."""

    shard: str
    name: str
    uri: str
    bytes: int
    version: str


class PoolFile(BaseModel):
    """A file of a pool that has been indexed, as `sources.json` of its output lists it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    pool: str  # the pool's URI
    text_field: str
    id_field: str
    source_field: str
    shard: str
    name: str
    uri: str
    bytes: int
    version: str

    @classmethod
    def of(cls, data: DocumentSource, file: SourceFile) -> Self:
        return cls(pool=data.uri, **data.model_dump(include=FIELDS), **asdict(file))

    @property
    def file(self) -> SourceFile:
        return SourceFile(self.shard, self.name, self.uri, self.bytes, self.version)

    @property
    def fields(self) -> Fields:
        return Fields(self.text_field, self.id_field, self.source_field)


def find_source_files(uri: str) -> list[SourceFile]:
    """The files that a path, glob or URI names, sorted by name; of a folder, all files below that can be read.

    A link to a file is that file; links to folders are not followed. Raises `FileNotFoundError` where there are none or
    a link leads nowhere, and `ValueError` for a file that cannot be read as documents.
    """
    filesystem, path = fsspec.core.url_to_fs(uri)
    listed, base = _find(filesystem, path.rstrip("/"))
    found = {name: _followed(filesystem, name, entry) for name, entry in listed.items()}
    names = sorted(name for name, entry in found.items() if entry["type"] == "file")
    if not names:
        raise FileNotFoundError(f"no files match {uri!r}; correct the path or glob in the prompt's data setting")
    relative = {name: _in_utf8(name[len(base) :].lstrip("/")) for name in names}
    shards = shard_names(list(relative.values()))
    return [
        SourceFile(
            shards[relative[name]],
            relative[name],
            filesystem.unstrip_protocol(name),
            _size(found[name]),
            _version(found[name]),
        )
        for name in names
    ]


def source_files(uri: str, cache: Path) -> list[SourceFile]:
    """The files of a pool; those of the embedded pool are made in `cache` if they are not there."""
    if uri != EMBEDDED:
        return find_source_files(uri)
    from datashop_assets.documents.embedded import DOCUMENTS, embedded_pool

    return find_source_files(str(embedded_pool(cache) / DOCUMENTS))


def fingerprint(data: Mapping[str, Any]) -> Fingerprint:
    """Changes when the documents that `data["uri"]` names may have changed."""
    if data["uri"] == EMBEDDED:
        return EMBEDDED_DIGEST
    return tuple((file.name, file.bytes, file.version) for file in find_source_files(data["uri"]))


def is_as_listed(file: SourceFile) -> bool:
    """Whether a file still has the size and version that it was listed with: one request, and nothing is read.

    Raises `FileNotFoundError` where it is gone.
    """
    filesystem, path = fsspec.core.url_to_fs(file.uri)
    filesystem.invalidate_cache(path.rpartition("/")[0])
    entry = filesystem.info(path)
    return bool(file.version) and (_size(entry), _version(entry)) == (file.bytes, file.version)


def suffix_of(name: str) -> str:
    """The suffix that tells a file's format. Raises `ValueError` where it is none of `FORMATS`."""
    for suffix in sorted(FORMATS, key=len, reverse=True):
        if name.endswith(suffix):
            return suffix
    raise ValueError(f"{name!r} ends in none of {', '.join(FORMATS)}; convert it, or narrow the glob to leave it out")


def shard_names(names: list[str]) -> dict[str, str]:
    """File name -> shard name: letters, digits, '_' and '-' only, no two alike, whatever the files are called."""
    plain = {name: re.sub(r"[^A-Za-z0-9_]+", "-", name.removesuffix(suffix_of(name))).strip("-") for name in names}
    count = Counter(plain.values())
    return {
        name: short if short and count[short] == 1 and len(short) <= LONGEST_NAME else _numbered(name, short)
        for name, short in plain.items()
    }


def _numbered(name: str, short: str) -> str:
    return f"{short[:LONGEST_NAME] or 'file'}-{digest_of(name)[:8]}"


def _find(filesystem: Any, path: str) -> tuple[dict[str, Any], str]:
    """The entries at `path` and the folder that they share."""
    filesystem.invalidate_cache()
    if filesystem.isdir(path):
        below = filesystem.find(path, detail=True)
        return {name: entry for name, entry in below.items() if _is_readable(name)}, path
    if filesystem.exists(path):
        return {path: filesystem.info(path)}, path.rpartition("/")[0]
    plain = re.split(r"[*?\[]", path, maxsplit=1)[0]
    return filesystem.glob(path, detail=True), plain.rpartition("/")[0]


def _followed(filesystem: Any, name: str, entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """The entry of the file behind a link. fsspec lists links in a folder as neither files nor folders."""
    if not entry.get("islink"):
        return entry
    try:
        return filesystem.info(name)  # type: ignore[no-any-return]
    except FileNotFoundError:
        raise FileNotFoundError(f"{name!r} is a link that leads nowhere; fix or remove it") from None


def _is_readable(name: str) -> bool:
    return name.endswith(tuple(FORMATS)) and not name.rpartition("/")[2].startswith(".")


def _in_utf8(name: str) -> str:
    """`name`, if it can be stored. Raises `ValueError` for one whose bytes are no UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ValueError(f"a file's name is no UTF-8: {name!a}; rename it") from None
    return name


def _size(entry: Mapping[str, Any]) -> int:
    """0 where nobody says, as of a page that a web server makes when it is asked for."""
    return int(entry["size"] or 0)


def _version(entry: Mapping[str, Any]) -> str:
    return next((str(entry[key]) for key in VERSIONS if entry.get(key)), "")
