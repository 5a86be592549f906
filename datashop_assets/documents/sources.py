"""The files that a pool or sample is made of: which they are, in which order, what their shards are called.

A plan digest knows of its sources enough to notice a changed file without reading any. Listing costs one request a
folder. A file counts as changed when its name, size or version does: the checksum or generation that a bucket keeps, or
the time of its last change on a disk.
"""

import errno
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import takewhile
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self
from urllib.parse import unquote

import fsspec
from pydantic import BaseModel, ConfigDict

from datashop_assets.core.step import StepConfig
from datashop_assets.datasets import EMBEDDED, EMBEDDED_DIGEST, resolve_uri
from datashop_assets.documents.formats import PASSED_OVER, PassedOverBecause, is_format, suffix_of, why_passed_over
from datashop_assets.prompts.settings import Data, OnUnreadable
from datashop_assets.storage.digests import digest_of

# What says that a file's bytes have changed, by filesystem, the surest first.
VERSIONS = ("md5Hash", "etag", "ETag", "blob_id", "generation", "mtime", "created")
LONGEST_NAME = 100  # characters
SOURCES = "sources.json"  # of a pool's output: where its files are
FIELDS = {"text_field", "id_field", "source_field"}
PARTITION = re.compile(r"(?P<name>[^=]+)=(?P<value>.*)")  # a folder that gives its files a field, as Hive has them
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
FIXES: Mapping[PassedOverBecause, str] = MappingProxyType(
    {
        "a folder": "; write the glob as .../** to read below",
        "a linked folder": "; links are not followed: name the folder itself as a pool, or move it here",
    }
)
EXAMPLES = 5  # names of files that are passed over for one reason
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
    on_unreadable: OnUnreadable = "stop"
    fingerprint: Fingerprint

    @classmethod
    def of(cls, data: Data) -> Self:
        """Lists the files. Raises what `find_source_files` and `resolve_uri` raise."""
        uri = resolve_uri(data.uri)
        named = {name: getattr(data, name) for name in FIELDS | {"on_unreadable"}}
        return cls(uri=uri, fingerprint=fingerprint({"uri": uri}), **named)

    @property
    def skips_unreadable(self) -> bool:
        return self.on_unreadable == "skip"

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

    @property
    def columns(self) -> Mapping[str, str | None]:
        """Fields that folders called `field=value` give all rows: those below the folder that is read, and those that
        lead to it without another folder between.
        """
        above, below = self.uri.removesuffix(self.name).rstrip("/"), self.name
        parts = [*takewhile(PARTITION.fullmatch, reversed(above.split("/")))][::-1] + below.split("/")[:-1]
        found = (match for part in parts if (match := PARTITION.fullmatch(part)))
        return {one["name"]: None if one["value"] == NO_VALUE else unquote(one["value"]) for one in found}


@dataclass(frozen=True, slots=True)
class Listing:
    """What a path, glob or URI names: the files that are read, and those that are not, by why not."""

    files: list[SourceFile]
    passed_over: Mapping[PassedOverBecause, list[str]]


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
    """The files of `list_source`, sorted by name."""
    return list_source(uri).files


def list_source(uri: str) -> Listing:
    """The files that a path, glob or URI names; of a folder, all files below that can be read.

    What is hidden, unfinished or, in a folder, of another format is passed over. A link to a file is that file; links
    to folders are not followed. Raises `FileNotFoundError` where there are none or a link leads nowhere, and
    `ValueError` for a file of a glob that cannot be read as documents.
    """
    filesystem, path = fsspec.core.url_to_fs(uri)
    listed, base, asked = _find(filesystem, path.rstrip("/"))
    below = {_in_utf8(name[len(base) :].lstrip("/")): name for name in listed}
    passed_over: dict[PassedOverBecause, list[str]] = {}
    names: list[str] = []
    found: dict[str, Mapping[str, Any]] = {}
    for name in sorted(filter(None, below), key=below.__getitem__):  # `/**` also gives the folder itself
        reason = why_passed_over(name, asked or ())
        linked = bool(listed[below[name]].get("islink"))
        if reason is None and asked is None and not is_format(name):
            folder = linked and filesystem.isdir(below[name])
            reason = "a linked folder" if folder else "another format"
        if reason is None:
            found[name] = _followed(filesystem, below[name], listed[below[name]])
            match found[name]["type"]:
                case "directory":
                    reason = "a linked folder" if linked else "a folder"
                case kind:
                    reason = None if kind == "file" else "no file"
        if reason is None:
            names.append(name)
        else:
            passed_over.setdefault(reason, []).append(name)
    if not names:
        raise FileNotFoundError(
            f"no files match {uri!r}{f': passed over are {words}' if (words := in_words(passed_over)) else ''}; "
            "correct the path or glob in the prompt's data setting"
        )
    shards = shard_names(names)
    files = [
        SourceFile(
            shards[name], name, filesystem.unstrip_protocol(below[name]), _size(found[name]), _version(found[name])
        )
        for name in names
    ]
    return Listing(files, passed_over)


def in_words(
    passed_over: Mapping[PassedOverBecause, Sequence[str]], counts: Mapping[PassedOverBecause, int] | None = None
) -> str:
    """`2 hidden (.cache/x.jsonl, _SUCCESS), 1 of another format (README.md)`; `counts` where names are examples."""
    said = []
    for reason, names in passed_over.items():
        count = len(names) if counts is None else counts[reason]
        more = f" and {count - EXAMPLES} more" if count > EXAMPLES else ""
        said.append(f"{count} {PASSED_OVER[reason]} ({', '.join(names[:EXAMPLES])}{more}{FIXES.get(reason, '')})")
    return ", ".join(said)


def source_files(uri: str, cache: Path, data: Path) -> list[SourceFile]:
    """The files of a pool; those of the embedded pool are made in `cache`, from the data packages of `data`, if they
    are not there.
    """
    return source_listing(uri, cache, data).files


def source_listing(uri: str, cache: Path, data: Path) -> Listing:
    """The same, with what is passed over."""
    if uri != EMBEDDED:
        return list_source(uri)
    from datashop_assets.documents.embedded import DOCUMENTS, embedded_pool

    return list_source(str(embedded_pool(cache, data) / DOCUMENTS))


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


def shard_names(names: list[str]) -> dict[str, str]:
    """File name -> shard name: letters, digits, '_' and '-' only, no two alike, whatever the files are called."""
    plain = {name: re.sub(r"[^A-Za-z0-9_]+", "-", name[: -len(suffix_of(name))]).strip("-") for name in names}
    count = Counter(plain.values())
    return {
        name: short if short and count[short] == 1 and len(short) <= LONGEST_NAME else _numbered(name, short)
        for name, short in plain.items()
    }


def _numbered(name: str, short: str) -> str:
    return f"{short[:LONGEST_NAME] or 'file'}-{digest_of(name)[:8]}"


def _find(filesystem: Any, path: str) -> tuple[dict[str, Any], str, list[str] | None]:
    """The entries at `path`, the folder that they share, and the parts of a glob below it; None for a folder's."""
    filesystem.invalidate_cache()
    if filesystem.isdir(path):
        return filesystem.find(path, detail=True), path, None
    if filesystem.exists(path):
        base, _, name = path.rpartition("/")
        return {path: filesystem.info(path)}, base, [name]
    base = re.split(r"[*?\[]", path, maxsplit=1)[0].rpartition("/")[0]
    return filesystem.glob(path, detail=True), base, path[len(base) :].lstrip("/").split("/")


def _followed(filesystem: Any, name: str, entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """The entry of the file behind a link. fsspec lists links in a folder as neither files nor folders."""
    if not entry.get("islink"):
        return entry
    try:
        return filesystem.info(name)  # type: ignore[no-any-return]
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ELOOP):  # of a link to itself
            raise
        raise FileNotFoundError(f"{name!r} is a link that leads nowhere; fix or remove it") from None


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
