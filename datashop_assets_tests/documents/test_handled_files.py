"""Files as people have them: the same documents in every layout, nothing lost in silence, every refusal with a fix."""

import json
import logging
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datashop_assets.core.step import CheckContext
from datashop_assets.documents.describe import describe_pool
from datashop_assets.documents.left_out import left_out
from datashop_assets.documents.pool import pool_shards, read_chosen, read_pool
from datashop_assets.documents.reading import UnreadableFileError, read_documents
from datashop_assets.documents.sources import Fields, find_source_files, list_source
from datashop_assets.documents.steps import annotation_sample
from datashop_assets.prompts.prompt import parse_prompt
from datashop_assets.protocols.documents import Document, Reject
from datashop_assets.storage import exact_json
from datashop_assets.storage.digests import RowsDigest
from datashop_assets.storage.shards import read_rows, write_rows
from datashop_assets_tests.documents.handled_files import HANDLED, Handled, array, lines
from datashop_assets_tests.documents.making import make_pool, make_sample, only_file, text

ROWS = [{"id": f"d{n}", "text": f"{text(n)} naïve ∑", "source": "web", "n": n} for n in range(60)]
READ = [one for one in HANDLED if not one.refused]
REFUSED = [one for one in HANDLED if one.refused]
CASES = pytest.mark.parametrize


def index(tmp_path: Path, uri: Path | str, **names: Any) -> list[dict[str, Any]]:
    pool = make_pool(str(uri), tmp_path / "out", **names)
    return [row for shard in pool_shards(pool) for row in pool.rows(f"{shard}.parquet")]


@CASES("kind", READ, ids=lambda kind: kind.what)
def test_the_same_documents_in_every_layout_give_the_same_index(tmp_path: Path, kind: Handled) -> None:
    (tmp_path / "pool").mkdir()
    (tmp_path / "pool" / kind.name).write_bytes(kind.write(ROWS))
    (tmp_path / "plain.jsonl").write_bytes(lines(ROWS))
    assert index(tmp_path, tmp_path / "pool") == index(tmp_path / "plain", tmp_path / "plain.jsonl")
    pool = make_pool(str(tmp_path / "pool"), tmp_path / "again")
    [shard] = pool_shards(pool)
    assert [document.fields for _, document in read_pool(pool, shard)] == ROWS
    assert [document.id for _, document in read_chosen(pool, shard, [0, 7, 59])] == ["d0", "d7", "d59"]


@CASES("kind", REFUSED, ids=lambda kind: kind.what)
def test_a_file_that_cannot_be_read_stops_the_pool_and_names_file_cause_and_fix(tmp_path: Path, kind: Handled) -> None:
    (tmp_path / "pool").mkdir()
    (tmp_path / "pool" / kind.name).write_bytes(kind.write(ROWS))
    (tmp_path / "pool" / "good.jsonl").write_bytes(lines(ROWS))
    with pytest.raises(UnreadableFileError) as caught:
        make_pool(str(tmp_path / "pool"), tmp_path / "out")
    for word in (kind.name, kind.refused, "narrow", "`on_unreadable: skip`"):
        assert word in str(caught.value)


@CASES("kind", REFUSED, ids=lambda kind: kind.what)
def test_told_to_skip_it_the_pool_goes_on_and_names_and_counts_what_it_skipped(tmp_path: Path, kind: Handled) -> None:
    (tmp_path / "pool").mkdir()
    size = (tmp_path / "pool" / kind.name).write_bytes(kind.write(ROWS))
    (tmp_path / "pool" / "good.jsonl").write_bytes(lines(ROWS))
    pool = make_pool(str(tmp_path / "pool"), tmp_path / "out", on_unreadable="skip")
    [one] = pool.result.unreadable
    assert (one.name, one.bytes) == (kind.name, size)
    assert kind.refused in one.cause
    assert pool.result.by_source["web"]
    said = "\n".join(left_out(pool.result))
    assert f"1 file ({size:,} bytes) skipped" in said
    assert kind.name in said
    assert kind.name.replace(".", "") in describe_pool(pool)["left out"].replace("\\", "").replace(".", "")
    for shard in pool_shards(pool):
        assert list(read_pool(pool, shard)) is not None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.dictionaries(
            st.sampled_from(["a", "b", "text"]),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
                lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
                max_leaves=5,
            ),
        ),
        min_size=1,
        max_size=6,
    ),
    indent=st.sampled_from([None, 1]),
)
def test_lines_arrays_and_objects_over_lines_hold_the_same_rows(
    tmp_path: Path, rows: list[dict[str, Any]], indent: int | None
) -> None:
    """Also with integers of any size, and text with every character."""
    rows = [{**row, "text": "a"} for row in rows]
    layouts = {
        "a.jsonl": "".join(json.dumps(row) + "\n" for row in rows),
        "b.json": json.dumps(rows, indent=indent),
        "c.json": "\n".join(json.dumps(row, indent=indent) for row in rows),
        "d.json": "".join(json.dumps(row, indent=indent) for row in rows),
    }
    found = []
    for name, layout in layouts.items():
        (tmp_path / name).write_text(layout)
        found.append(
            [one.fields for one in read_documents(only_file(tmp_path / name), Fields()) if isinstance(one, Document)]
        )
    assert found == [found[0]] * 4
    assert found[0] == [json.loads(json.dumps(row), parse_constant=lambda _: None) for row in rows]


@CASES("digits", [20, 30, 400, 4300])
def test_an_integer_keeps_its_digits_through_reading_and_writing(tmp_path: Path, digits: int) -> None:
    number = int("12345" * (digits // 5))
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "a", "tweet": %d, "deep": [{"x": -%d}]}\n' % (number, number))
    [found] = read_documents(only_file(tmp_path / "a.jsonl"), Fields())
    assert isinstance(found, Document)
    assert found.fields == {"text": "a", "tweet": number, "deep": [{"x": -number}]}
    with (tmp_path / "kept.jsonl.zst").open("wb") as file:
        _, digest = write_rows("kept.jsonl.zst", file, [{**found.fields, "datashop_score": 0.5}], None)
    with (tmp_path / "kept.jsonl.zst").open("rb") as file:
        [kept] = read_rows("kept.jsonl.zst", file)
    assert kept == {**found.fields, "datashop_score": 0.5}
    again = RowsDigest()
    again.add(dict(reversed(kept.items())))
    assert again.hexdigest() == digest


def test_an_integer_of_more_digits_than_python_reads_is_one_reject(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "a"}\n{"text": "b", "n": %s}\n' % (b"7" * 5000))
    [_, bad] = read_documents(only_file(tmp_path / "a.jsonl"), Fields())
    assert not isinstance(bad, Document)
    assert (bad.reason, bad.detail) == ("unreadable value", "an integer of 5,000 digits; at most 4,300 are read")


def test_what_is_no_number_is_null(tmp_path: Path) -> None:
    row = b'{"text": "NaN of it", "a": NaN, "b": [Infinity, -Infinity], "c": 1e999}'
    (tmp_path / "a.jsonl").write_bytes(row + b"\n")
    (tmp_path / "b.json").write_bytes(b"[" + row + b"]")
    for name in ("a.jsonl", "b.json"):
        [found] = read_documents(only_file(tmp_path / name), Fields())
        assert isinstance(found, Document)
        assert found.fields == {"text": "NaN of it", "a": None, "b": [None, None], "c": None}


@CASES(
    ("path", "found"),
    [
        ("messages.0.content", "Hello"),
        ("messages.-1.content", "Bye"),
        ("messages.*.content", "Hello\n\nBye"),
        ("parts.*", "one\n\ntwo"),
        ("nested.*.parts.*.text", "a\n\nb\n\nc"),
        ("meta.language", "en"),
        ("messages.7.content", None),
        ("messages.*.nothing", None),
        ("messages.x.content", None),
    ],
)
def test_a_path_leads_into_lists_and_joins_all_of_them(tmp_path: Path, path: str, found: str | None) -> None:
    row = {
        "messages": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Bye"}, {"tool": 1}][:2],
        "parts": ["one", "two"],
        "nested": [{"parts": [{"text": "a"}, {"image": 1}, {"text": "b"}]}, {"parts": [{"text": "c"}]}],
        "meta": {"language": "en"},
    }
    (tmp_path / "a.jsonl").write_bytes(lines([row]))
    [one] = read_documents(only_file(tmp_path / "a.jsonl"), Fields(text=path))
    if found is None:
        assert not isinstance(one, Document)
        assert one.reason == "no text"
        assert "perhaps text_field: messages.*.content, which makes one document of all of them" in one.detail
    else:
        assert isinstance(one, Document)
        assert one.text == found


MANY = {f"doc{n}": {"text": text(n), "n": n} for n in range(60)}
COLUMNS = {"id": {str(n): n for n in range(60)}, "text": {str(n): text(n) for n in range(60)}}


@CASES("field", ["text", "data"])
@CASES(
    ("row", "how", "rewriting"),
    [
        (MANY, "60 documents by id", "jq -c 'to_entries[] | {id: .key} + .value'"),
        ({name: one["text"] for name, one in MANY.items()}, "60 documents by id", "{id: .key, text: .value}"),
        (COLUMNS, "60 documents by columns", "orient='records', lines=True"),
        ({name: list(one.values()) for name, one in COLUMNS.items()}, "60 documents by columns", "pandas.read_json"),
        ({"version": "1", "data": list(MANY.values())}, "60 documents in the list data", "jq -c '.data[]'"),
        ({"response": {"docs": list(MANY.values())}}, "60 documents in the list response.docs", "'.response.docs[]'"),
        ({"corpus": list(MANY.values())}, "60 documents in the list corpus", "jq -c '.corpus[]'"),
    ],
)
def test_an_object_with_all_documents_of_a_file_is_never_read_as_one(
    tmp_path: Path, row: dict[str, Any], how: str, rewriting: str, field: str
) -> None:
    (tmp_path / "a.json").write_text(json.dumps(row))
    [one] = read_documents(only_file(tmp_path / "a.json"), Fields(text=field))
    assert isinstance(one, Reject)
    assert f"the row seems to hold {how}; write each as a line of its own, as" in one.detail
    assert rewriting in one.detail
    assert "text_field:" not in one.detail


@CASES(
    ("row", "path"),
    [
        ({"id": "a", "body": "The text.", "items": [{"name": "x"}, {"name": "y"}]}, "body"),
        ({"id": "a", "data": [{"role": "user", "content": "Hi"}, {"role": "bot", "content": "Yes"}]}, "data.*.content"),
        ({"id": "a", "paragraphs": [{"text": "One."}, {"text": "Two."}]}, "paragraphs.*.text"),
        ({"title": {"value": "T"}, "body": {"value": "The longer text."}}, "body.value"),
        ({"id": "a", "abstract": "long " * 50, "results": [{"n": 1}]}, "abstract"),
        ({"title": "T", "summary": "The longer text."}, "summary"),
        ({"meta": {"authors": [{"name": "N"}], "items": [{"n": "1"}]}, "abstract": "The long text."}, "abstract"),
        ({"sentence1": "One.", "sentence2": "Two, longer."}, "sentence2"),
    ],
)
def test_a_row_that_is_one_document_has_a_hint_to_its_text(tmp_path: Path, row: dict[str, Any], path: str) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines([row]))
    [one] = read_documents(only_file(tmp_path / "a.jsonl"), Fields())
    assert isinstance(one, Reject)
    assert f"perhaps text_field: {path}" in one.detail


@CASES(("given", "name"), [(b"7", "7"), (b"7.0", "7"), (b"7.5", "7.5"), (b"0", "0"), (b"1" * 30, "1" * 30)])
def test_an_id_may_be_a_number(tmp_path: Path, given: bytes, name: str) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "a", "id": %s, "source": %s}' % (given, given))
    [one] = read_documents(only_file(tmp_path / "a.jsonl"), Fields())
    assert isinstance(one, Document)
    assert (one.id, one.source) == (name, name)


def test_folders_called_field_and_value_give_a_field(tmp_path: Path) -> None:
    for lang, dump in (("en", "2024%2F10"), ("fr", "__HIVE_DEFAULT_PARTITION__")):
        folder = tmp_path / "plain" / f"lang={lang}" / f"_dump={dump}"
        folder.mkdir(parents=True)
        (folder / "a.jsonl").write_bytes(lines([{"text": lang}, {"text": "own", "lang": "de"}]))
    for uri in (tmp_path / "plain", f"{tmp_path}/plain/*/*/*.jsonl", f"{tmp_path}/plain/lang=en/_dump*/*"):
        files = find_source_files(str(uri))
        found = [one for file in files for one in read_documents(file, Fields(source="lang"))]
        assert [(one.source, one.fields) for one in found if isinstance(one, Document)][:2] == [
            ("en", {"lang": "en", "_dump": "2024/10", "text": "en"}),
            ("de", {"lang": "de", "_dump": "2024/10", "text": "own"}),
        ]
    assert files[0].columns == {"lang": "en", "_dump": "2024/10"}


PASSED = {
    ".ipynb_checkpoints/a-checkpoint.jsonl": "hidden",
    "_temporary/0/a.jsonl": "hidden",
    ".cache/x.jsonl": "hidden",
    "_SUCCESS": "hidden",
    ".a.jsonl.crc": "hidden",
    "a.jsonl.tmp": "unfinished",
    "b.jsonl.gz.part": "unfinished",
    "README.md": "another format",
    "dataset_infos.json": "about a data set",
}


def test_copies_and_leftovers_are_passed_over_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    names = ("a.jsonl", "b.json", "c.ndjson", "d.jsonl.bz2", "e.JSONL", "deep/f.json.xz")
    for name in (*names, *PASSED):
        (tmp_path / "pool" / name).parent.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        kind = next(one for one in READ if one.name.lower().endswith(name[name.index(".") :].lower()[-4:]))
        (tmp_path / "pool" / name).write_bytes(kind.write(ROWS[number * 10 : number * 10 + 10]))
    for name in PASSED:
        (tmp_path / "pool" / name).write_bytes(lines(ROWS))
    listing = list_source(str(tmp_path / "pool"))
    assert {file.name for file in listing.files} == set(names)
    assert {name: reason for reason, found in listing.passed_over.items() for name in found} == PASSED
    with caplog.at_level(logging.WARNING, logger="datashop"):
        pool = make_pool(str(tmp_path / "pool"), tmp_path / "out")
    assert pool.result.documents == 60
    assert {reason: one.files for reason, one in pool.result.passed_over.items()} == {
        "hidden": 5, "unfinished": 2, "another format": 1, "about a data set": 1,
    }  # fmt: skip
    [line] = left_out(pool.result)
    assert "5 hidden (.a.jsonl.crc, .cache/x.jsonl," in line
    assert "1 of another format (README.md)" in line
    assert line in caplog.text


def test_what_a_glob_spells_out_is_read(tmp_path: Path) -> None:
    for name in ("_made/a.jsonl", ".b.jsonl", "c.jsonl", "folder/d.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(lines(ROWS[:1]))
    assert [file.name for file in find_source_files(f"{tmp_path}/_made/*.jsonl")] == ["a.jsonl"]
    assert [file.name for file in find_source_files(f"{tmp_path}/.*.jsonl")] == [".b.jsonl"]
    assert [file.name for file in find_source_files(f"{tmp_path}/.b.jsonl")] == [".b.jsonl"]
    listing = list_source(f"{tmp_path}/*")
    assert [file.name for file in listing.files] == ["c.jsonl"]
    assert listing.passed_over == {"hidden": [".b.jsonl", "_made"], "a folder": ["folder"]}


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "b.jsonl")
    (tmp_path / "a.jsonl").write_bytes(lines(ROWS))
    assert list_source(str(tmp_path)).passed_over == {"no file": ["b.jsonl"]}
    [said] = left_out(make_pool(f"{tmp_path}/*.jsonl", tmp_path / "out").result)
    assert said == "files passed over: 1 that are pipes, sockets or devices (b.jsonl)"


def test_a_pool_of_empty_files_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").touch()
    with pytest.raises(ValueError, match=r"none of the 0 rows .* is a document: its files are empty; correct the path"):
        make_pool(f"{tmp_path}/a.jsonl", tmp_path / "out")


def test_a_sample_smaller_than_asked_for_says_why(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines([*ROWS[:20], *({**row, "id": f"again-{row['id']}"} for row in ROWS[:20])]))
    pool = make_pool(f"{tmp_path}/a.jsonl", tmp_path / "out", fraction=1e-9)
    with caplog.at_level(logging.WARNING, logger="datashop"):
        sample = make_sample(f"{tmp_path}/a.jsonl", tmp_path / "out", pool, 30)
    said = "20 documents drawn, not 30: of 40 that are not held out, 0 are near one that is, and 20 repeat a text"
    assert left_out(sample.result) == [said]
    assert f"annotation_sample: {said}" in caplog.text


def test_a_folder_of_nothing_but_other_files_says_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\na\n")
    with pytest.raises(FileNotFoundError, match=r"passed over are 1 of another format \(a\.csv\)"):
        list_source(str(tmp_path))


@CASES(("setting", "usual"), [("id_field", "id"), ("source_field", "source")])
def test_a_field_that_no_document_has_is_an_error_that_lists_those_there_are(
    tmp_path: Path, setting: str, usual: str
) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines([{"text": "a", "url": "u"}]))
    make_pool(f"{tmp_path}/a.jsonl", tmp_path / "usual", **{setting: usual})
    said = rf"{setting} is 'uri', which no document .* has: the row has text .*, url .*1\); correct or remove it$"
    with pytest.raises(ValueError, match=said):
        make_pool(f"{tmp_path}/a.jsonl", tmp_path / "out", **{setting: "uri"})


def test_ids_that_begin_again_in_every_file_cost_no_document_of_the_sample(tmp_path: Path) -> None:
    (tmp_path / "pool").mkdir()
    for number, name in enumerate("abc"):
        rows = [{"id": n, "text": text(300 * number + n)} for n in range(200)]
        (tmp_path / "pool" / f"{name}.json").write_bytes(array(rows))
    pool = make_pool(str(tmp_path / "pool"), tmp_path / "out", fraction=1e-9)
    sample = make_sample(str(tmp_path / "pool"), tmp_path / "out", pool, 400)
    drawn = list(sample.rows("sample.parquet"))
    assert sample.result.documents == len(drawn) == len({row["id"] for row in drawn}) == 400
    assert sample.result.same_id == sum("#" in row["id"] for row in drawn) > 100
    assert sample.result.same_id_examples[0] in {row["id"] for row in drawn}
    [check] = annotation_sample.checks
    prompt = parse_prompt({"name": "x", "rubric": "{example}", "annotator": {"scoring": "generate"}}, "x", "x")
    said = check.evaluate(CheckContext(prompt, sample, {}))
    assert (said.passed, said.blocks, said.severity) == (False, False, "warning")
    assert said.figures == {"repeated": sample.result.same_id, "by_source": {"unknown": sample.result.same_id}}
    assert f"{sample.result.same_id} of 400 documents drawn have an id that another one has" in said.description
    assert "(by source: unknown " in said.description
    alone = make_sample(f"{tmp_path}/pool/a.json", tmp_path / "alone", pool, 100)
    assert check.evaluate(CheckContext(prompt, alone, {})).passed


@CASES("layout", ["{}\n{}\n", "[{}, {}]", "[\n {},\n {}\n]", "{}{}"])
def test_a_key_that_stands_twice_is_one_reject_in_every_layout(tmp_path: Path, layout: str) -> None:
    """No parser says which of the values counts; where they are equal nothing is lost."""
    rows = ('{"text": "one", "note": {"a \\" b": 1, "a \\" b": 2}}', '{"text": "two", "text": "two"}')
    (tmp_path / "a.json").write_text(layout.format(*rows))
    bad, good = read_documents(only_file(tmp_path / "a.json"), Fields())
    assert not isinstance(bad, Document)
    assert (bad.reason, bad.detail) == ("repeated key", "'a \" b' stands twice with different values")
    assert isinstance(good, Document)
    assert good.fields == {"text": "two"}
    (tmp_path / "pool.jsonl").write_bytes(rows[0].encode() + b"\n" + lines(ROWS))
    [said] = left_out(make_pool(f"{tmp_path}/pool.jsonl", tmp_path / "out").result)
    assert said.startswith("1 row rejected: repeated key; write each key of an object once. For example pool row 0")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    row=st.dictionaries(
        st.text(max_size=4) | st.sampled_from(['"', "\\", '\\"', 'a":', "text"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["\\", '"', '\\\\"', ":"]),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
            max_leaves=6,
        ),
        max_size=5,
    ),
    spaces=st.booleans(),
    data=st.data(),
)
def test_a_key_is_found_to_stand_twice_where_it_does_and_nowhere_else(
    tmp_path: Path, row: dict[str, Any], spaces: bool, data: st.DataObject
) -> None:
    row = {**row, "text": "a"}
    separators = (" , ", " : ") if spaces else (",", ":")
    written = [
        f"{json.dumps(key)}{separators[1]}{json.dumps(value, separators=separators)}" for key, value in row.items()
    ]
    place = data.draw(st.integers(0, len(written)))
    repeated = data.draw(st.sampled_from(sorted(row)))
    twice = [*written[:place], f"{json.dumps(repeated)}: [7, 7]", *written[place:]]
    (tmp_path / "a.jsonl").write_text(
        "".join(f"{{{separators[0].join(members)}}}\n" for members in (written, twice)), encoding="utf-8"
    )
    once, again = read_documents(only_file(tmp_path / "a.jsonl"), Fields())
    assert isinstance(once, Document)
    assert once.fields == row
    if row[repeated] == [7, 7]:
        assert isinstance(again, Document)
    else:
        assert not isinstance(again, Document)
        assert again.reason == "repeated key"


def test_two_columns_of_one_name_are_no_parquet_file_of_documents(tmp_path: Path) -> None:
    table = pa.table([pa.array(["a"]), pa.array(["b"])], names=["text", "text"])
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(UnreadableFileError, match=r"a\.parquet cannot be read: .*two of its columns are called 'text'"):
        make_pool(f"{tmp_path}/a.parquet", tmp_path / "out")


@CASES(
    "unseen",
    ["\u200b", "\ufeff\u2060", "\u00ad", "\u3164", "\u2800", "\u180e", "\ufe0f", "\U000e0020", "\x00\x1b", "\u202e"],
)
def test_a_text_of_which_nothing_is_seen_is_blank(tmp_path: Path, unseen: str) -> None:
    rows = [{"text": f" {unseen}\n{unseen}"}, {"text": f"{unseen}x{unseen}"}, {"text": "\u0301"}, {"text": "。"}]
    (tmp_path / "a.jsonl").write_bytes(lines(rows))
    blank, *seen = read_documents(only_file(tmp_path / "a.jsonl"), Fields())
    assert not isinstance(blank, Document)
    assert (blank.reason, blank.detail[:29]) == ("blank text", "no visible character, only U+")
    assert [one.text for one in seen if isinstance(one, Document)] == [row["text"] for row in rows[1:]]


@CASES(("name", "written"), [("b.jsonl", b""), ("b.jsonl.zst", zstandard.compress(b"")), ("b.json", b" []\n")])
def test_an_empty_file_among_others_is_said_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, written: bytes
) -> None:
    (tmp_path / "pool").mkdir()
    (tmp_path / "pool" / "a.jsonl").write_bytes(lines(ROWS))
    (tmp_path / "pool" / name).write_bytes(written)
    (tmp_path / "pool" / "notes.txt").touch()
    with caplog.at_level(logging.WARNING, logger="datashop"):
        pool = make_pool(str(tmp_path / "pool"), tmp_path / "out")
    assert pool.result.passed_over["empty"].files == 1
    [said] = left_out(pool.result)
    assert said == f"files passed over: 1 of another format (notes.txt), 1 without a row ({name})"
    assert f"pretraining_pool: {said}" in caplog.text
    sample = make_sample(str(tmp_path / "pool"), tmp_path / "out", pool, 20)
    assert left_out(sample.result)[0] == said


def test_exact_json_is_written_as_orjson_writes_it_and_refuses_what_it_refuses() -> None:
    assert exact_json.dumps({"a": 1, "b": "é"}) == b'{"a":1,"b":"\xc3\xa9"}'
    assert exact_json.dumps({"b": "é", "a": 1 << 64}) == b'{"b":"\xc3\xa9","a":18446744073709551616}'
    for value in ({"a": {1, 2}}, {"a": 1 << 64, "b": "\ud800"}):
        with pytest.raises(TypeError):
            exact_json.dumps(value)


def test_names_that_a_terminal_would_obey_are_written_out(tmp_path: Path) -> None:
    (tmp_path / "pool").mkdir()
    (tmp_path / "pool" / "\x1b[2J.csv").write_bytes(b"")
    (tmp_path / "pool" / "a.jsonl").write_bytes(lines([{"\x1b[31m": 1}, {"text": "a"}]))
    said = left_out(make_pool(str(tmp_path / "pool"), tmp_path / "out").result)
    assert "\\x1b[2J.csv" in said[0]
    assert "\\x1b[31m (number)" in said[1]
    assert all(line.isprintable() for line in said)
