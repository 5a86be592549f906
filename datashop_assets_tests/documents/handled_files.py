"""What files people have, and what becomes of each: the table that `test_handled_files` goes through.

`HANDLED` holds for each what it is, a file of it made from rows, and how it is read; or the words with which it is
refused. `FILES` is the page that people read.
"""

import bz2
import codecs
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from datashop_assets_tests.handled_inputs import Example, Page, Table

Rows = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Handled:
    """A kind of file. `refused` is empty for one that is read, else part of what the error says."""

    what: str
    name: str
    write: Callable[[Rows], bytes]
    how: str
    refused: str = ""


def lines(rows: Rows) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def array(rows: Rows) -> bytes:
    return json.dumps(list(rows), ensure_ascii=False).encode()


def _over_lines(rows: Rows) -> bytes:
    return json.dumps(list(rows), indent=2).encode()


def _gzip(rows: Rows) -> bytes:
    return gzip.compress(lines(rows))


def _zstd(rows: Rows) -> bytes:
    return zstandard.compress(lines(rows))


def _recoded(write: Callable[[Rows], bytes], encoding: str) -> Callable[[Rows], bytes]:
    return lambda rows: write(rows).decode().encode(encoding)


def _each_over_lines(rows: Rows) -> bytes:
    return "\n".join(json.dumps(row, indent=1) for row in rows).encode()


def _parquet(rows: Rows) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows)), file)
    return file.getvalue()


def _long_window(rows: Rows) -> bytes:
    """A frame that asks for a window of 512 MB, as `zstd --long=29` writes them."""
    parameters = zstandard.ZstdCompressionParameters(window_log=29, enable_ldm=True, hash_log=6, chain_log=6)
    made = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return made.compress(lines(rows)) + made.flush()


def _tar(rows: Rows) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        entry = tarfile.TarInfo("a.jsonl")
        entry.size = len(lines(rows))
        archive.addfile(entry, io.BytesIO(lines(rows)))
    return file.getvalue()


def _zip(rows: Rows) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, mode="w") as archive:
        archive.writestr("a.jsonl", lines(rows))
    return file.getvalue()


def _members(compress: Callable[[bytes], bytes]) -> Callable[[Rows], bytes]:
    return lambda rows: b"".join(compress(lines([row])) for row in rows)


HANDLED = (
    Handled("JSON lines", "a.jsonl", lines, "a row a line"),
    Handled(
        "a JSON text sequence (RFC 7464)",
        "a.jsonl",
        lambda rows: b"".join(b"\x1e" + lines([row]) for row in rows),
        "a row a line",
    ),
    Handled("JSON lines called ndjson", "a.ndjson", lines, "a row a line"),
    Handled("JSON lines called json", "a.json", lines, "a row a line"),
    Handled("upper-case endings", "A.JSONL", lines, "as in lower case"),
    Handled("upper-case endings, compressed", "A.JSONL.GZ", _gzip, "as in lower case"),
    Handled("a JSON array", "a.json", array, "each element is a row"),
    Handled("a JSON array over lines", "a.json", _over_lines, "each element is a row"),
    Handled("a JSON array called jsonl", "a.jsonl", _over_lines, "each element is a row"),
    Handled(
        "objects over lines",
        "a.json",
        _each_over_lines,
        "a row each",
    ),
    Handled("objects behind each other", "a.json", lambda rows: lines(rows).replace(b"\n", b""), "a row each"),
    Handled("Parquet", "a.parquet", _parquet, "a row a row"),
    Handled("Parquet in upper case", "A.PARQUET", _parquet, "a row a row"),
    Handled("gzip", "a.jsonl.gz", _gzip, "unpacked"),
    Handled("zstd", "a.jsonl.zst", _zstd, "unpacked"),
    Handled("bzip2", "a.jsonl.bz2", lambda rows: bz2.compress(lines(rows)), "unpacked"),
    Handled("xz", "a.ndjson.xz", lambda rows: lzma.compress(lines(rows)), "unpacked"),
    Handled("gzip, many members", "a.jsonl.gz", _members(gzip.compress), "all members"),
    Handled("zstd, many frames", "a.jsonl.zst", _members(zstandard.compress), "all frames"),
    Handled("bzip2, many streams", "a.jsonl.bz2", _members(bz2.compress), "all streams"),
    Handled("xz, many streams", "a.jsonl.xz", _members(lzma.compress), "all streams"),
    Handled("gzip, zero bytes behind it", "a.jsonl.gz", lambda rows: _gzip(rows) + bytes(512), "left out"),
    Handled(
        "gzip, zero bytes between members",
        "a.jsonl.gz",
        lambda rows: b"".join(gzip.compress(lines([row])) + bytes(7) for row in rows),
        "left out",
    ),
    Handled(
        "zstd, zero bytes behind it",
        "a.jsonl.zst",
        lambda rows: _zstd(rows) + bytes(100_000),
        "left out",
    ),
    Handled("zstd with a long window", "a.jsonl.zst", _long_window, "windows up to 2 GB"),
    Handled("not compressed, though it is called so", "a.jsonl.gz", lines, "by what it holds"),
    Handled("compressed, though it is not called so", "a.jsonl", _gzip, "by what it holds"),
    Handled("a byte order mark", "a.jsonl", lambda rows: codecs.BOM_UTF8 + lines(rows), "left out"),
    Handled(
        "a byte order mark in the middle, where a file was put behind another",
        "a.jsonl",
        lambda rows: lines(rows[:1]) + codecs.BOM_UTF8 + lines(rows[1:]),
        "left out",
    ),
    Handled("UTF-16 with a mark", "a.jsonl", _recoded(lines, "utf-16"), "by the mark"),
    Handled("UTF-16 without one", "a.json", _recoded(array, "utf-16-be"), "by its zero bytes"),
    Handled("UTF-32", "a.jsonl.gz", lambda rows: gzip.compress(lines(rows).decode().encode("utf-32")), "by the mark"),
    Handled("lines that end in CR LF", "a.jsonl", lambda rows: lines(rows).replace(b"\n", b"\r\n"), "as LF"),
    Handled("a web page", "a.jsonl", lambda _: b"<html>\n404\n</html>\n", "", "none of its 3 rows"),
    Handled("a web page called gz", "a.jsonl.gz", lambda _: b"<html>404</html>", "", "not compressed, as its name"),
    Handled(
        "a pointer of Git LFS",
        "a.parquet",
        lambda _: b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
        "",
        "fetch it with `git lfs pull`",
    ),
    Handled("nothing, called zst", "a.json.zst", lambda _: b"", "", "it is empty"),
    Handled(
        "a gzip file that was cut",
        "a.jsonl.gz",
        lambda rows: gzip.compress(lines(rows))[:-9],
        "",
        "ends before its gzip",
    ),
    Handled("a zstd file that was cut", "a.jsonl.zst", lambda rows: _zstd(rows)[:-3], "", "ends before"),
    Handled(
        "gzip with something else behind it",
        "a.jsonl.gz",
        lambda rows: _gzip(rows) + b"no gzip",
        "",
        "behind its gzip data is something else",
    ),
    Handled("a tar archive", "a.jsonl.gz", _tar, "", "is a tar archive; unpack it"),
    Handled("a zip archive", "a.jsonl", _zip, "", "is a zip archive; unpack it"),
    Handled("compressed twice", "a.jsonl.gz", lambda rows: gzip.compress(_zstd(rows)), "", "compressed again"),
    Handled("an array that was cut", "a.json", lambda rows: array(rows)[:-5], "", "its JSON goes wrong"),
    Handled(
        "an array with a comma before its end",
        "a.json",
        lambda rows: array(rows)[:-1].rstrip() + b",\n]",
        "",
        "its JSON goes wrong: Expecting value where ']' stands",
    ),
    Handled(
        "lines that end in commas",
        "a.jsonl",
        lambda rows: lines(rows).replace(b"}\n", b"},\n"),
        "",
        "its JSON goes wrong: Expecting value where ',",
    ),
    Handled("Parquet that was cut", "a.parquet", lambda rows: _parquet(rows)[:-9], "", "Parquet"),
    Handled(
        "Latin-1",
        "a.jsonl",
        lambda rows: lines([{**row, "text": "naïve"} for row in rows]).decode().encode("latin-1"),
        "",
        "write the files in UTF-8",
    ),
    Handled(
        "text in another field",
        "a.jsonl",
        lambda rows: lines([{"body": row["text"]} for row in rows]),
        "",
        "perhaps text_field: body",
    ),
    Handled(
        "chat turns",
        "a.jsonl",
        lambda rows: lines([{"text": [{"role": "user", "content": row["text"]}]} for row in rows]),
        "",
        "perhaps text_field: text.*.content",
    ),
)

FILES = Page(
    "files.md",
    "Files",
    "What files a pool may have, and what becomes of each. What a file is, is told by what it holds; its name only "
    "says that it belongs to the pool. [Bring your own pool](pools.md) says how to name the fields of its rows.",
    (
        Table(
            "Files that are read",
            "Formats and compressions may be mixed in one pool.",
            [Example(one.name, None, f"{one.what}: {one.how}") for one in HANDLED if not one.refused],
            ("such as", "what it is, and how it is read"),
        ),
        Table(
            "Files that cannot be read",
            "Such a file stops the pool with an error that names it, unless the pool's section says `on_unreadable: "
            "skip`: it is then named in the terminal, in `status` and on the card, and its bytes are counted.",
            [Example(one.name, None, f"{one.what}: “… {one.refused} …”") for one in HANDLED if one.refused],
            ("such as", "what it is, and part of what the error says"),
        ),
    ),
    "datashop_assets_tests/documents/handled_files.py",
)
