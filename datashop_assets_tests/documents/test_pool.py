"""Reading a pool by its index: the documents that were indexed, or an error that names the one that differs."""

import os
from pathlib import Path

import pytest

from datashop_assets.documents.pool import ChangedPoolError, pool_shards, read_chosen, read_index, read_pool
from datashop_assets_tests.documents.making import make_pool, make_sample, rows, write_documents


@pytest.mark.parametrize("chosen", [[], [0, 2], [1], [3], [0, 1, 2, 3]])
@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_only_chosen_documents_are_read(tmp_path: Path, name: str, chosen: list[int]) -> None:
    path = tmp_path / name
    write_documents(path, rows(0, 4))
    if name.endswith(".jsonl"):
        path.write_bytes(path.read_bytes().removesuffix(b"\n"))  # as many writers leave the last line
    pool = make_pool(str(path), tmp_path / "root")
    found = [(row, document.id) for row, document in read_chosen(pool, *pool_shards(pool), chosen)]
    assert found == [(row, f"d{row}") for row in chosen]


def test_documents_are_read_back_with_their_rows_and_fields(files: str, tmp_path: Path) -> None:
    pool = make_pool(files, tmp_path / "out")
    found = list(read_pool(pool, "b"))
    assert [row for row, _ in found] == list(range(1, 101)) == [entry["row"] for entry in read_index(pool, "b")]
    assert [document.fields["n"] for _, document in found] == list(range(200, 300))


def test_a_file_that_changed_is_refused_by_shard_and_row(files: str, tmp_path: Path) -> None:
    pool = make_pool(files, tmp_path / "out")
    changed = rows(0, 200)
    changed[17]["text"] += "!"
    write_documents(Path(files) / "a.jsonl.zst", changed)
    with pytest.raises(ChangedPoolError, match=r"a\.jsonl\.zst is not .* row 17 of shard a differs; put .* back"):
        list(read_pool(pool, "a"))


def test_a_changed_text_that_is_not_among_the_chosen_is_noticed_too(files: str, tmp_path: Path) -> None:
    pool = make_pool(files, tmp_path / "out")
    changed = rows(0, 200)
    changed[17]["text"] = changed[17]["text"].replace("alpha", "alphA")
    write_documents(Path(files) / "a.jsonl.zst", changed)
    with pytest.raises(ChangedPoolError, match="row 17 of shard a differs"):
        list(read_chosen(pool, "a", [3, 150]))


def test_a_file_that_was_only_copied_is_read_as_before(files: str, tmp_path: Path) -> None:
    pool = make_pool(files, tmp_path / "out")
    os.utime(Path(files) / "b.jsonl.gz", (1, 1))
    assert [document.id for _, document in read_chosen(pool, "b", [2, 50, 100])] == ["d201", "d249", "d299"]


def test_a_file_that_is_gone_is_named(files: str, tmp_path: Path) -> None:
    pool = make_pool(files, tmp_path / "out")
    (Path(files) / "c.parquet").unlink()
    for read in (read_pool(pool, "c"), read_chosen(pool, "c", [1])):
        with pytest.raises(FileNotFoundError, match=r"c\.parquet"):
            list(read)


@pytest.mark.parametrize("left", [150, 201])
def test_a_file_that_grew_or_shrank_is_refused(files: str, tmp_path: Path, left: int) -> None:
    pool = make_pool(files, tmp_path / "out")
    write_documents(Path(files) / "a.jsonl.zst", rows(0, left))
    with pytest.raises(ChangedPoolError, match=f"row {min(left, 200)} of shard a"):
        list(read_pool(pool, "a"))


def test_the_embedded_pool_is_made_again_when_its_cache_was_cleared(embedded_cache: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.symlink_to(embedded_cache)
    pool = make_pool("embedded", tmp_path)
    sample = make_sample("embedded", tmp_path, pool, 2000)
    cache.unlink()
    assert pool.result.documents == sum(1 for shard in pool_shards(pool) for _ in read_pool(pool, shard)) == 11_709
    share = sum(row["source"] == "docstring" for row in sample.rows("sample.parquet")) / 2000
    assert 0.11 < share < 0.18
