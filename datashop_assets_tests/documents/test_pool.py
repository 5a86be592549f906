"""The pool's index: every row accounted for, one split for all, the same whatever happened on the way."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from datashop_assets.core.step import Resources
from datashop_assets.documents.nearness import HELDOUT_BANDS
from datashop_assets.documents.pool import ChangedPoolError, pool_shards, read_chosen, read_index, read_pool
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets_tests.documents.making import make_pool, make_sample, write_documents, write_lines
from datashop_assets_tests.stages import LosesEveryWorker

WORDS = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lamda", "mu")


def text(number: int) -> str:
    return " ".join(f"{word}{number * 31 % 977}x{place}" for place, word in enumerate(WORDS * 4))


def rows(first: int, count: int) -> list[dict[str, Any]]:
    sources = ("web", "books")
    return [{"id": f"d{i}", "text": text(i), "source": sources[i % 2], "n": i} for i in range(first, first + count)]


@pytest.fixture
def files(tmp_path: Path) -> str:
    """Three files of 400 documents in three formats, some with bad rows between."""
    folder = tmp_path / "files"
    folder.mkdir()
    write_documents(folder / "a.jsonl.zst", rows(0, 200))
    write_lines(folder / "b.jsonl.gz", [b"{", *map(orjson.dumps, rows(200, 100)), b'{"text": 1}', b"{"])
    write_documents(folder / "c.parquet", rows(300, 100))
    return str(folder)


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


def index_of(pool: StageFolder) -> list[dict[str, Any]]:
    return [row for shard in pool_shards(pool) for row in pool.rows(f"{shard}.parquet")]


def test_every_row_of_every_file_is_in_the_index(files: str, tmp_path: Path) -> None:
    pool = make_pool(files, tmp_path / "out")
    assert [(shard.name, shard.rows) for shard in pool.shards] == [
        ("a.parquet", 200),
        ("b.parquet", 103),
        ("c.parquet", 100),
    ]
    metrics = pool.metrics
    assert (metrics["rows"], metrics["documents"], metrics["rejected"]) == (403, 400, 3)
    assert metrics["rejects"] == {"broken json": 2, "text is not a string": 1}
    assert [shown["place"] for shown in metrics["reject_examples"]] == ["b row 0", "b row 101", "b row 102"]
    assert sum(numbers["documents"] for numbers in metrics["by_split"].values()) == 400
    assert {
        source: sum(n["documents"] for n in splits.values()) for source, splits in metrics["by_source"].items()
    } == {
        "books": 200,
        "web": 200,
    }


def test_documents_are_read_back_with_their_rows_and_fields(files: str, tmp_path: Path) -> None:
    pool = make_pool(files, tmp_path / "out")
    found = list(read_pool(pool, "b"))
    assert [row for row, _ in found] == list(range(1, 101)) == [entry["row"] for entry in read_index(pool, "b")]
    assert [document.fields["n"] for _, document in found] == list(range(200, 300))


def test_the_held_out_part_is_the_fraction_asked_for_and_a_matter_of_content(files: str, tmp_path: Path) -> None:
    pool = make_pool(files, tmp_path / "out", fraction=0.3)
    heldout = {row["content"] for row in index_of(pool) if row["split"] == "heldout"}
    assert 0.2 < len(heldout) / 400 < 0.4
    (tmp_path / "other").mkdir()
    shuffled = [*rows(0, 400)[::-3], {"text": "new"}]
    write_documents(tmp_path / "other" / "z.jsonl", [{**row, "id": "same"} for row in shuffled])
    for row in index_of(make_pool(f"{tmp_path}/other", tmp_path / "out2", fraction=0.3)):
        assert (row["split"] == "heldout") == (row["content"] in heldout) or row["characters"] == 3


def test_what_is_nearly_a_held_out_document_is_set_aside_wherever_it_stands(files: str, tmp_path: Path) -> None:
    pool = make_pool(files, tmp_path / "out")
    heldout = [row for row in index_of(pool) if row["split"] == "heldout"]
    nearly = [{"id": row["id"], "text": text(int(row["id"][1:])) + " and one word more"} for row in heldout]
    write_documents(Path(files) / "0.jsonl", nearly)
    again = make_pool(files, tmp_path / "out2")
    assert {row["split"] for row in again.rows("0.parquet")} <= {"heldout", "near_heldout"}
    assert sum(row["split"] == "near_heldout" for row in again.rows("0.parquet")) > len(nearly) / 2
    bands = np.load(again.file(HELDOUT_BANDS))
    assert (np.diff(bands) > 0).all()


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


def test_a_wrong_field_name_is_an_error_that_names_it(files: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none of the 403 rows .*'no text': 401.*text_field, which is 'body'"):
        make_pool(files, tmp_path / "out", text_field="body")


class KilledError(Exception):
    pass


class StopsAfter:
    """Does the work in this process and dies after some items."""

    def __init__(self, items: int) -> None:
        self.items = items

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            if self.items == 0:
                raise KilledError
            self.items -= 1
            yield function(item)


class Processes:
    """Does the work in another process, last item first."""

    def __init__(self) -> None:
        self.pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"))

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        yield from list(self.pool.map(function, items))[::-1]


@pytest.mark.parametrize("items", range(6))
def test_a_build_that_was_killed_goes_on_to_the_same_content(files: str, tmp_path: Path, items: int) -> None:
    whole = make_pool(files, tmp_path / "whole").manifest
    with pytest.raises(KilledError):
        make_pool(files, tmp_path / "killed", tools=Resources(compute=StopsAfter(items)))
    resumed = make_pool(files, tmp_path / "killed", tools=Resources(compute=StopsAfter(6 - items))).manifest
    assert resumed.content_digest == whole.content_digest
    assert resumed.metrics == whole.metrics


def test_the_index_of_a_lost_worker_is_not_made_again(files: str, tmp_path: Path) -> None:
    alone = make_pool(files, tmp_path / "alone").manifest
    tools = Resources(compute=LosesEveryWorker(tmp_path / "again"))
    again = make_pool(files, tmp_path / "again", tools=tools).manifest
    assert again.content_digest == alone.content_digest
    assert again.metrics == alone.metrics


def test_work_in_another_process_and_order_gives_the_same_content(files: str, tmp_path: Path) -> None:
    alone = make_pool(files, tmp_path / "alone").manifest
    processes = Processes()
    spread = make_pool(files, tmp_path / "spread", tools=Resources(compute=processes)).manifest
    processes.pool.shutdown()
    assert spread.content_digest == alone.content_digest
    assert spread.metrics == alone.metrics


def test_a_source_field_with_many_values_stays_small_in_the_metrics(tmp_path: Path) -> None:
    write_documents(tmp_path / "urls.jsonl", [{"text": f"a{i}", "source": f"http://{i}.org"} for i in range(300)])
    by_source = make_pool(f"{tmp_path}/urls.jsonl", tmp_path / "out").metrics["by_source"]
    assert len(by_source) == 101
    assert sum(numbers["documents"] for numbers in by_source["(other sources)"].values()) == 200


def test_what_is_counted_of_sources_is_bounded_while_counting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datashop_assets.documents.index.MET", 50)
    write_documents(tmp_path / "urls.jsonl", [{"text": f"a{i}", "source": f"http://{i % 70}.org"} for i in range(300)])
    by_source = make_pool(f"{tmp_path}/urls.jsonl", tmp_path / "out").metrics["by_source"]
    documents = {name: sum(one["documents"] for one in splits.values()) for name, splits in by_source.items()}
    assert len(documents) == 51
    assert sum(documents.values()) == 300
    assert documents["http://0.org"] == 5
    assert documents["(other sources)"] == 80


def test_the_embedded_pool_is_made_again_when_its_cache_was_cleared(embedded_cache: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.symlink_to(embedded_cache)
    pool = make_pool("embedded", tmp_path)
    sample = make_sample("embedded", tmp_path, pool, 2000)
    cache.unlink()
    assert pool.metrics["documents"] == sum(1 for shard in pool_shards(pool) for _ in read_pool(pool, shard)) == 11_709
    share = sum(row["source"] == "docstring" for row in sample.rows("sample.parquet")) / 2000
    assert 0.11 < share < 0.18
