"""Every row becomes a document or a reject: no row is lost, no file stops the others, whatever is in it."""

import gzip
import io
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from fsspec.implementations.local import LocalFileSystem
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datashop_assets.documents import json_rows, reading
from datashop_assets.documents.json_rows import Broken
from datashop_assets.documents.reading import read_documents, read_rows
from datashop_assets.documents.sources import Fields, SourceFile
from datashop_assets.protocols.documents import Document, Reject
from datashop_assets_tests.documents.making import COMPRESS, only_file, write_documents, write_lines

FIELDS = Fields()
ROWS = [{"id": f"d{i}", "text": f"naïve ∑ text {i}", "source": "web", "more": {"deep": [i, None]}} for i in range(600)]


def read(file: SourceFile, fields: Fields = FIELDS) -> list[Document | Reject]:
    return list(read_documents(file, fields))


def only(file: SourceFile, fields: Fields = FIELDS) -> Document | Reject:
    [found] = read(file, fields)
    return found


@pytest.mark.parametrize("suffix", [*COMPRESS, ".parquet"])
def test_all_formats_give_the_same_documents_with_all_their_fields(tmp_path: Path, suffix: str) -> None:
    found = read(write_documents(tmp_path / f"pool{suffix}", ROWS))
    assert found == [Document(row["id"], row["text"], "web", row) for row in ROWS]  # type: ignore[arg-type]


def test_a_file_in_a_bucket_is_read_like_one_on_a_disk(gcs_bucket: str, tmp_path: Path) -> None:
    file = write_documents(tmp_path / "pool.jsonl.zst", ROWS)
    uri = f"{gcs_bucket}/{tmp_path.name}/pool.jsonl.zst"
    fsspec.filesystem("gs").put_file(file.uri.removeprefix("file://"), uri)
    assert len(read(SourceFile("pool", "pool.jsonl.zst", uri, file.bytes, ""))) == len(ROWS)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b'{"id": 1}', "no text"),
        (b'{"text": null}', "blank text"),
        (b'{"text": 7}', "text is not a string"),
        (b'{"text": ["a"]}', "text is not a string"),
        (b'{"text": " \\n\\t"}', "blank text"),
        (b'{"text": "\\u200b\\u200d \\ufeff"}', "blank text"),
        (b'{"text": "\\u0000\\u0007"}', "blank text"),
        (b'{"text": "a", "text": "b"}', "repeated key"),
        (b'{"text": "a", "meta": {"x": 1, "y": [{"x": 1, "x": 2}]}}', "repeated key"),
        (b'{"text": "a", "n": NaN, "n": 3}', "repeated key"),
        (b'{"text": "a", "n": 123456789012345678901234567890, "n": 1}', "repeated key"),
        (b'{"te\\u0078t": "a", "text": "b"}', "repeated key"),
        (b'{"text": "a", "n": 1, "n": true}', "repeated key"),
        (b'{"text": "a", "id": {"no": 1}}', "id is not a string or number"),
        (b'{"text": "a", "id": true}', "id is not a string or number"),
        (b'{"text": "a", "source": [3]}', "source is not a string or number"),
        (b'["text"]', "not an object"),
        (b"", "empty line"),
        (b'{"text": "a"', "broken json"),
        (b'{"text": "\\ud800"}', "broken json"),
        (b"[" * 5000, "broken json"),
        (b'{"text": "a", "x": %b1%b}' % (b"[" * 254, b"]" * 254), "nested too deep"),
        (b'{"text": "a", "x": %b1%b}' % (b'{"y":' * 1000, b"}" * 1000), "nested too deep"),
        (b'{"text": "\xff\xfe"}', "invalid utf-8"),
        (b'{"text": "\xed\xa0\x80"}', "invalid utf-8"),
    ],
)
def test_a_row_that_is_no_document_is_rejected_with_reason_and_place(tmp_path: Path, row: bytes, reason: str) -> None:
    file = write_lines(tmp_path / "pool.jsonl", [b'{"text": "good"}', row, b'{"text": "good"}'])
    first, found, last = read(file)
    assert isinstance(found, Reject)
    assert (found.reason, found.place) == (reason, "pool.jsonl row 1")
    assert isinstance(first, Document)
    assert isinstance(last, Document)


OBJECTS = b",".join([b'{"text": "a"}'] * 1000)


@pytest.mark.parametrize(
    ("row", "detail"),
    [
        (b'{"text": "a"}{"text": "b"}', "holds 2 JSON values; put each on a line of its own; the line begins '{"),
        (b'{"text": "a", "n": NaN} {"text": "b"}\t[1]', "holds 3 JSON values; "),
        (b'{"text": "a"}{"text": "b"}{"text": "c', "holds at least 2 JSON values; "),
        (OBJECTS, "holds 1,000 JSON values; "),
        (OBJECTS * 200, "holds at least 74,903 JSON values; "),
        (b"[%b]" % OBJECTS, "an array of 1,000 values; put each on a line of its own; it begins '[{"),
        (b'["text"]', "an array of 1 value; it begins '["),
        (b'{"text": "a"}}', "unexpected content after document: line 1 column 14 (char 13); the line begins '{"),
        (b'{"text": "a"} behind it', "unexpected content after document"),
        (b'{"text": "a"}' + b"[" * 10**6, "unexpected content after document"),
        (b"7", "a JSON int, '7'"),
    ],
)
def test_a_line_is_one_row_and_its_reject_says_how_many_values_it_holds(
    tmp_path: Path, row: bytes, detail: str
) -> None:
    _, found, _ = read(write_lines(tmp_path / "pool.jsonl", [b'{"text": "good"}', row, b'{"text": "good"}']))
    assert isinstance(found, Reject)
    assert found.detail.startswith(detail)
    assert len(found.detail) < 250


@pytest.mark.parametrize("identity", [b"", b', "id": null', b', "id": ""', b', "id": " \\u200b"'])
def test_a_document_without_an_id_is_called_by_its_place(tmp_path: Path, identity: bytes) -> None:
    found = only(write_lines(tmp_path / "my pool.jsonl", [b'{"text": "a"%b}' % identity]))
    assert isinstance(found, Document)
    assert (found.id, found.source) == ("my-pool:0", "unknown")


def test_fields_may_be_named_and_nested(tmp_path: Path) -> None:
    row = {"body": {"text": "a"}, "meta": {"url": 12}, "a.b": "dotted"}
    found = only(write_documents(tmp_path / "pool.jsonl", [row]), Fields("body.text", "meta.url", "a.b"))
    assert found == Document("12", "a", "dotted", row)


def test_a_file_whose_name_looks_like_a_glob_is_read(tmp_path: Path) -> None:
    write_lines(tmp_path / "pool1.jsonl", [b'{"text": "another"}'])
    found = only(write_lines(tmp_path / "pool[1]*.jsonl", [b'{"text": "a"}']))
    assert isinstance(found, Document)
    assert found.text == "a"


def test_null_bytes_and_a_byte_order_mark_do_no_harm(tmp_path: Path) -> None:
    found = only(write_lines(tmp_path / "pool.jsonl", [b'\xef\xbb\xbf{"text": "a\\u0000b"}']))
    assert isinstance(found, Document)
    assert found.text == "a\0b"


@pytest.mark.parametrize("suffix", [".jsonl.gz", ".jsonl.zst"])
@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_a_truncated_file_ends_in_one_reject_that_names_the_last_row(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"pool{suffix}"
    lines = [orjson.dumps({"text": f"{i} {hash(i * 7919) % 10**9}"}) for i in range(50_000)]
    write_lines(path, lines)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    *documents, last = read(only_file(path))
    assert isinstance(last, Reject)
    assert (last.reason, last.place) == ("unreadable file", f"pool{suffix} row {len(documents)}")
    assert f"after row {len(documents) - 1}" in last.detail or not documents
    assert all(isinstance(found, Document) for found in documents)
    assert len(documents) > 0.8 * share * len(lines) - 5000


@pytest.mark.parametrize(("suffix", "compress"), [(".jsonl.gz", gzip.compress), (".jsonl.zst", zstandard.compress)])
def test_many_compressed_frames_in_one_file_are_all_read(tmp_path: Path, suffix: str, compress: Any) -> None:
    path = tmp_path / f"pool{suffix}"
    path.write_bytes(b"".join(compress(orjson.dumps(row) + b"\n") for row in ROWS))
    assert len(read(only_file(path))) == len(ROWS)


@pytest.mark.parametrize("suffix", [".jsonl.gz", ".jsonl.zst", ".parquet"])
def test_a_file_that_is_not_what_its_name_says_is_one_reject(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"pool{suffix}"
    path.write_bytes(b"<html>404 not found</html>" * 10)
    found = only(only_file(path))
    assert isinstance(found, Reject)
    assert found.reason == "unreadable file"
    assert "before the first row" in found.detail


@pytest.mark.parametrize("suffix", [".jsonl.gz", ".jsonl.zst", ".parquet"])
def test_a_file_cut_to_nothing_is_one_reject_and_a_file_of_no_rows_none(tmp_path: Path, suffix: str) -> None:
    """An interrupted download often leaves a file of no bytes; what holds no row still has a header."""
    path = tmp_path / f"pool{suffix}"
    path.write_bytes(b"")
    found = only(only_file(path))
    assert isinstance(found, Reject)
    assert found.reason == "unreadable file"
    if suffix == ".parquet":
        pq.write_table(pa.table({"text": pa.array([], pa.string())}), path)
    else:
        write_lines(path, [])
    assert read(only_file(path)) == []


def test_a_row_of_many_brackets_is_a_document(tmp_path: Path) -> None:
    text = "{" * 1000
    row = {"text": text, "x": [[]] * 1000}
    assert only(write_documents(tmp_path / "pool.jsonl", [row])) == Document("pool:0", text, "unknown", row)


@pytest.mark.parametrize(
    "dates",
    [
        pa.array([0, 2**60], pa.timestamp("us")),
        pa.array([0, 2**30], pa.date32()),
    ],
    ids=["timestamp", "date"],
)
def test_a_date_that_no_calendar_has_is_one_reject(tmp_path: Path, dates: pa.Array) -> None:
    """Crawls hold such dates, and one of them must not stop a pool."""
    pq.write_table(pa.table({"text": ["a", "b"], "when": dates}), tmp_path / "pool.parquet")
    good, bad = read(only_file(tmp_path / "pool.parquet"))
    assert isinstance(good, Document)
    assert isinstance(bad, Reject)
    assert (bad.reason, bad.place) == ("unreadable value", "pool.parquet row 1")
    assert "OverflowError" in bad.detail


def test_a_connection_that_fails_is_an_error_and_no_reject(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_documents(tmp_path / "pool.jsonl.zst", ROWS)

    class Failing(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise ConnectionResetError("the bucket hung up")

    monkeypatch.setattr(LocalFileSystem, "_open", lambda *args, **named: Failing())
    with pytest.raises(ConnectionResetError, match="the bucket hung up"):
        read(file)


def test_a_line_too_long_is_skipped_without_being_held(tmp_path: Path) -> None:
    long = b'{"text": "%b"}' % (b"a" * 5000)
    file = write_lines(tmp_path / "pool.jsonl.gz", [b'{"text": "a"}', long, b'{"text": "b"}', long])
    first, broken, third, last = read_rows(file, longest_line=100)
    assert isinstance(broken, Broken)
    assert broken.reason == last.reason == "line too long"  # type: ignore[union-attr]
    assert broken.detail.startswith(f"{len(long) + 1} bytes")
    assert (first, third) == ({"text": "a"}, {"text": "b"})


def test_columns_that_json_has_no_value_for_become_text_or_null(tmp_path: Path) -> None:
    table = pa.table(
        {
            "text": ["a"],
            "when": pa.array([1], pa.timestamp("s")),
            "raw": pa.array([b"\xff"]),
            "score": [float("nan")],
            "tags": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())),
        }
    )
    pq.write_table(table, tmp_path / "pool.parquet")
    found = only(only_file(tmp_path / "pool.parquet"))
    assert isinstance(found, Document)
    assert found.fields == {
        "text": "a",
        "when": "1970-01-01T00:00:01",
        "raw": "\\xff",
        "score": None,
        "tags": [["k", 1]],
    }


def test_parquet_text_that_is_not_utf8_is_one_reject(tmp_path: Path) -> None:
    damaged = pa.StringArray.from_buffers(2, pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0"), pa.py_buffer(b"a\xff"))
    pq.write_table(pa.table({"text": damaged}), tmp_path / "pool.parquet")
    good, bad = read(only_file(tmp_path / "pool.parquet"))
    assert isinstance(good, Document)
    assert isinstance(bad, Reject)
    assert bad.reason == "invalid utf-8"


@pytest.mark.parametrize(("field", "wrap"), [("text", None), ("body.text", "body"), ("parts.*", "parts")])
def test_binary_text_is_read_as_utf8_and_never_changed(tmp_path: Path, field: str, wrap: str | None) -> None:
    texts = ["Zürich".encode(), "Café à Zürich".encode("latin-1"), b"plain", None]
    column: list[Any] = [{"text": one} if wrap == "body" else [one] if wrap == "parts" else one for one in texts]
    pq.write_table(pa.table({wrap or "text": column}), tmp_path / "pool.parquet")
    first, damaged, last, none = read_documents(only_file(tmp_path / "pool.parquet"), Fields(text=field))
    assert isinstance(first, Document)
    assert isinstance(last, Document)
    assert (first.text, last.text) == ("Zürich", "plain")
    assert isinstance(damaged, Reject)
    assert (damaged.reason, damaged.place) == ("invalid utf-8", "pool.parquet row 1")
    assert isinstance(none, Reject)
    assert none.reason in ("no text", "blank text")


def test_memory_holds_a_line_and_not_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = 0

    def parse(line: bytes) -> json_rows.Row:
        nonlocal taken
        taken += len(line)
        return {"text": "a"}

    monkeypatch.setattr(json_rows, "parse", parse)
    file = write_lines(tmp_path / "pool.jsonl.zst", [b"x" * 999] * 10_000)
    next(iter(read_documents(file, FIELDS)))
    assert taken == 1000


def test_memory_holds_a_part_of_a_parquet_row_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = 0

    class Counted(reading._Watched):
        def read(self, size: int = -1) -> bytes:
            nonlocal taken
            taken += len(data := super().read(size))
            return data

    random = np.random.default_rng(0)
    pq.write_table(pa.table({"text": [random.bytes(2000).hex() for _ in range(4000)]}), path := tmp_path / "a.parquet")
    monkeypatch.setattr(reading, "_Watched", Counted)
    next(iter(read_documents(only_file(path), FIELDS)))
    assert 0 < taken < path.stat().st_size / 3  # which is one row group


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
WILD_ROW = st.dictionaries(st.sampled_from(["text", "id", "source", "x"]), VALUES).map(
    lambda row: orjson.dumps(row, option=orjson.OPT_PASSTHROUGH_SUBCLASS) if _fits(row) else b"{}"
)
WILD_LINE = st.binary(max_size=60).filter(lambda line: b"\n" not in line and line[:1] != b"[") | WILD_ROW  # no array


def _fits(value: Any) -> bool:
    try:
        orjson.dumps(value)
    except TypeError:  # an integer beyond 64 bits, or a lone surrogate
        return False
    return True


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(WILD_LINE, max_size=8), suffix=st.sampled_from(list(COMPRESS)))
def test_every_wild_line_is_a_document_or_a_reject(tmp_path: Path, lines: list[bytes], suffix: str) -> None:
    """After a plain row, since a file is what its beginning says: one that begins with `PAR1` is no lines."""
    first, *found = read(write_lines(tmp_path / f"wild{suffix}", [b'{"text": "plain"}', *lines]))
    assert isinstance(first, Document)
    assert len(found) == len(lines)
    for row, item in enumerate(found, start=1):
        if isinstance(item, Reject):
            assert item.reason
            assert item.place == f"wild{suffix} row {row}"
        else:
            assert item.text.strip()
            assert item.id
            orjson.dumps(item.fields)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300), suffix=st.sampled_from([".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet"]))
def test_random_bytes_never_stop_the_reader(tmp_path: Path, data: bytes, suffix: str) -> None:
    path = tmp_path / f"wild{suffix}"
    path.write_bytes(data)
    assert all(isinstance(found, Document | Reject) for found in read(only_file(path)))


CHECKED = {".jsonl.gz": gzip.compress, ".jsonl.zst": zstandard.ZstdCompressor(write_checksum=True).compress}


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 2000), byte=st.integers(0, 255), suffix=st.sampled_from(list(CHECKED)))
def test_a_byte_gone_wrong_under_a_checksum_never_passes_in_silence(
    tmp_path: Path, place: int, byte: int, suffix: str
) -> None:
    path = tmp_path / f"pool{suffix}"
    data = bytearray(CHECKED[suffix](b"".join(orjson.dumps(row) + b"\n" for row in ROWS[:100])))
    data[place % len(data)] = byte
    path.write_bytes(data)
    *found, last = read(only_file(path))
    as_written = [item.fields for item in (*found, last) if isinstance(item, Document)] == ROWS[:100]
    assert as_written or (isinstance(last, Reject) and last.reason == "unreadable file")
