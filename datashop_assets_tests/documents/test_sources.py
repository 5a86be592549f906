import os
import re
import subprocess
import sys
import uuid
from pathlib import Path

import fsspec
import orjson
import pytest
from fsspec.implementations.local import LocalFileSystem
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.datasets import EMBEDDED_DIGEST
from datashop_assets.documents.pool import ChangedPoolError, pool_shards, read_chosen
from datashop_assets.documents.sources import (
    find_source_files,
    fingerprint,
    in_words,
    is_as_listed,
    list_source,
    shard_names,
)
from datashop_assets.storage.folders import Folder, checked_name
from datashop_assets_tests.documents.making import make_pool, write_documents

HEAVY = ("jax", "flax", "orbax", "transformers", "polars", "pyarrow", "gcsfs", "dagster_gcp", "ray")


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"{}\n")


def test_files_of_a_glob_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    touch(tmp_path, "b/2.jsonl", "a/10.jsonl.zst", "a/2.jsonl.gz", "a/notes.txt")
    found = find_source_files(f"{tmp_path}/*/*.jsonl*")
    assert [file.name for file in found] == ["a/10.jsonl.zst", "a/2.jsonl.gz", "b/2.jsonl"]
    assert [file.shard for file in found] == ["a-10", "a-2", "b-2"]
    assert {file.bytes for file in found} == {3}


def test_a_folder_stands_for_all_files_below_it_that_can_be_read(tmp_path: Path) -> None:
    touch(tmp_path, "README.md", "deep/er/x.parquet", "y.jsonl", ".half-written.jsonl")
    assert [file.name for file in find_source_files(str(tmp_path))] == ["deep/er/x.parquet", "y.jsonl"]


def test_a_file_whose_name_looks_like_a_glob_can_be_named(tmp_path: Path) -> None:
    touch(tmp_path, "what[1]*.jsonl")
    assert [file.shard for file in find_source_files(f"{tmp_path}/what[1]*.jsonl")] == ["what-1"]


@pytest.mark.parametrize("glob", ["", "/*.jsonl"])
def test_a_link_to_a_file_is_that_file(tmp_path: Path, glob: str) -> None:
    """As the hub's cache keeps what it downloads."""
    touch(tmp_path, "blobs/0f", "snapshot/a.jsonl")
    (tmp_path / "snapshot" / "b.jsonl").symlink_to("../blobs/0f")
    _, link = find_source_files(f"{tmp_path}/snapshot{glob}")
    assert (link.name, link.shard, link.bytes) == ("b.jsonl", "b", 3)
    assert is_as_listed(link)
    (tmp_path / "blobs" / "0f").write_bytes(b"{}\n{}\n")
    assert not is_as_listed(link)


@pytest.mark.parametrize("glob", ["", "/*", "/**", "/*.jsonl"])
@pytest.mark.parametrize("name", ["linked", "linked.jsonl"])
def test_a_link_to_a_folder_is_said_to_be_one(tmp_path: Path, glob: str, name: str) -> None:
    touch(tmp_path, "pool/a.jsonl", "other/b.jsonl")
    (tmp_path / "pool" / name).symlink_to(tmp_path / "other")
    listing = list_source(f"{tmp_path}/pool{glob}")
    assert [file.name for file in listing.files] == ["a.jsonl"]
    if glob == "/*.jsonl" and name == "linked":
        assert listing.passed_over == {}
    else:
        assert listing.passed_over == {"a linked folder": [name]}
        assert f"1 that are links to folders ({name}; links are not followed: name" in in_words(listing.passed_over)


@pytest.mark.parametrize("to", ["nowhere", "b.jsonl"])
@pytest.mark.parametrize("glob", ["", "/*.jsonl"])
def test_a_link_that_leads_nowhere_is_named(tmp_path: Path, glob: str, to: str) -> None:
    touch(tmp_path, "a.jsonl")
    (tmp_path / "b.jsonl").symlink_to(to)
    with pytest.raises(FileNotFoundError, match=r"b\.jsonl' is a link that leads nowhere; fix or remove it"):
        find_source_files(f"{tmp_path}{glob}")


def test_a_name_that_is_no_utf8_is_told(tmp_path: Path) -> None:
    touch(tmp_path, "a.jsonl", "b\udcff.jsonl")
    with pytest.raises(ValueError, match=r"no UTF-8: 'b\\udcff\.jsonl'; rename it"):
        find_source_files(str(tmp_path))


def test_a_file_whose_size_nobody_says_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a web server that sends in pieces."""
    touch(tmp_path, "a.jsonl")
    monkeypatch.setattr(LocalFileSystem, "info", lambda _, path: {"name": path, "size": None, "type": "file"})
    assert [file.bytes for file in find_source_files(f"{tmp_path}/a.jsonl")] == [0]


def test_a_bucket_is_listed_like_a_disk() -> None:
    bucket = f"memory://{uuid.uuid4().hex}"
    for name in ("b.jsonl", "a.jsonl.zst"):
        with fsspec.open(f"{bucket}/{name}", "wb") as file:
            file.write(b"{}\n")
    found = find_source_files(f"{bucket}/*")
    assert [(file.name, file.shard) for file in found] == [("a.jsonl.zst", "a"), ("b.jsonl", "b")]
    assert all(file.uri.startswith("memory://") for file in found)


@pytest.mark.parametrize("kind", ["gcs_bucket", "s3_bucket"])
def test_a_pool_in_a_bucket_is_read_and_a_changed_object_is_noticed(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    place = f"{request.getfixturevalue(kind)}/{tmp_path.name}/pool"
    rows = [{"id": f"d{n}", "text": f"text {n}"} for n in range(9)]
    for name in ("a.jsonl.zst", "b.parquet"):
        write_documents(tmp_path / name, rows)
        Folder(place).write(name, (tmp_path / name).read_bytes())
    pool = make_pool(f"{place}/*", tmp_path / "root")
    for shard in pool_shards(pool):
        assert [document.id for _, document in read_chosen(pool, shard, [2, 7])] == ["d2", "d7"]
    write_documents(tmp_path / "a.jsonl.zst", [*rows[:8], {"id": "d8", "text": "text 9"}])
    Folder(place).write("a.jsonl.zst", (tmp_path / "a.jsonl.zst").read_bytes())
    with pytest.raises(ChangedPoolError, match="row 8 of shard a differs"):
        list(read_chosen(pool, "a", [2, 7]))


def test_a_glob_without_files_says_what_to_correct(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no files match '.*nothing-\*\.jsonl'; correct"):
        find_source_files(f"{tmp_path}/nothing-*.jsonl")


def test_a_file_of_another_kind_says_which_kinds_there_are(tmp_path: Path) -> None:
    touch(tmp_path, "a.jsonl", "b.csv")
    with pytest.raises(ValueError, match=r"'b\.csv' ends in none of \.jsonl, .*\.parquet; convert it .*, or narrow"):
        find_source_files(f"{tmp_path}/*")


@given(st.sets(st.text(min_size=1, max_size=200), min_size=1, max_size=20))
def test_shard_names_are_safe_and_never_alike_whatever_files_are_called(stems: set[str]) -> None:
    named = shard_names([f"{stem}.jsonl" for stem in stems] + [f"{stem}.parquet" for stem in stems])
    assert len(set(named.values())) == 2 * len(stems)
    for shard in named.values():
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,120}", shard)
        assert checked_name(f"{shard}.parquet")


def test_the_embedded_pool_is_known_by_its_digest() -> None:
    assert fingerprint({"uri": "embedded"}) == EMBEDDED_DIGEST


def test_it_changes_with_any_file_and_not_with_the_folder(tmp_path: Path) -> None:
    file = tmp_path / "one" / "a.jsonl"
    file.parent.mkdir()
    file.write_text("{}\n")
    os.utime(file, (1000, 1000))
    before = fingerprint({"uri": f"{tmp_path}/one/*.jsonl"})
    orjson.dumps(before)
    file.parent.rename(tmp_path / "two")
    assert fingerprint({"uri": f"{tmp_path}/two/*.jsonl"}) == before
    os.utime(tmp_path / "two" / "a.jsonl", (2000, 2000))
    assert fingerprint({"uri": f"{tmp_path}/two/*.jsonl"}) != before


def test_planning_imports_nothing_that_only_reading_needs() -> None:
    program = (
        "import sys, datashop_assets.documents.steps, datashop_assets.documents.sources as f;"
        f"f.fingerprint({{'uri': 'embedded'}}); print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
