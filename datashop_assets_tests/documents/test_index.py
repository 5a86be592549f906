"""The pool's index: every row accounted for, one split for all, the same whatever happened on the way."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datashop_assets.core.step import Resources
from datashop_assets.documents.nearness import HELDOUT_BANDS, HeldoutBands
from datashop_assets.documents.pool import pool_shards
from datashop_assets.documents.results import PretrainingPoolResult
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.storage.stage_writer import StageWriter
from datashop_assets_tests.documents.making import make_pool, rows, text, write_documents
from datashop_assets_tests.stages import LosesEveryWorker


def documents_by_source(pool: PretrainingPoolResult) -> dict[str, int]:
    return {source: sum(size.documents for size in splits.values()) for source, splits in pool.by_source.items()}


def index_of(pool: StageFolder) -> list[dict[str, Any]]:
    return [row for shard in pool_shards(pool) for row in pool.rows(f"{shard}.parquet")]


def test_every_row_of_every_file_is_in_the_index(files: str, tmp_path: Path) -> None:
    pool = make_pool(files, tmp_path / "out")
    assert [(shard.name, shard.rows) for shard in pool.shards] == [
        ("a.parquet", 200),
        ("b.parquet", 103),
        ("c.parquet", 100),
    ]
    result = pool.result
    assert (result.rows, result.documents, result.rejected) == (403, 400, 3)
    assert result.rejects == {"broken json": 2, "text is not a string": 1}
    assert [shown.place for shown in result.reject_examples] == ["b row 0", "b row 101", "b row 102"]
    assert sum(size.documents for size in result.by_split.values()) == 400
    assert documents_by_source(result) == {"books": 200, "web": 200}


def test_the_held_out_part_is_the_fraction_asked_for_and_a_matter_of_content(files: str, tmp_path: Path) -> None:
    pool = make_pool(files, tmp_path / "out", fraction=0.3)
    heldout = {row["content"] for row in index_of(pool) if row["split"] == "heldout"}
    assert 0.2 < len(heldout) / 400 < 0.4
    (tmp_path / "other").mkdir()
    shuffled = [*rows(0, 400)[::-3], {"text": "new"}]
    write_documents(tmp_path / "other" / "z.jsonl", [{**row, "id": "same"} for row in shuffled])
    for row in index_of(make_pool(f"{tmp_path}/other", tmp_path / "out2", fraction=0.3)):
        assert (row["split"] == "heldout") == (row["content"] in heldout) or row["characters"] == 3


def test_the_bands_of_the_held_out_documents_alone_stand_beside_the_index(files: str, tmp_path: Path) -> None:
    pool = make_pool(files, tmp_path / "out")
    heldout = [text(int(row["id"][1:])) for row in index_of(pool) if row["split"] == "heldout"]
    bands = HeldoutBands.load(pool)
    assert (bands.keys == HeldoutBands.of(heldout).keys).all()
    assert (np.diff(bands.keys) > 0).all()
    names = [file.name for file in pool.manifest.files]
    assert names == ["a.parquet", "b.parquet", "c.parquet", "heldout_bands.npy", "sources.json"]
    assert set(names) | {"manifest.json"} == {path.name for path in (tmp_path / "out" / "pretraining_pool").iterdir()}


def test_a_wrong_field_name_is_an_error_that_names_it(files: str, tmp_path: Path) -> None:
    with pytest.raises(
        ValueError,
        match=r"a\.jsonl\.zst cannot be read: none of its 200 rows .* text_field: text\.",
    ):
        make_pool(files, tmp_path / "out", text_field="body")


@pytest.mark.parametrize("text", [b"null", b'""', b'" \\n"'])
def test_a_file_whose_texts_are_all_empty_is_counted_and_stops_nothing(files: str, tmp_path: Path, text: bytes) -> None:
    (Path(files) / "d.jsonl").write_bytes(b'{"text": %b}\n' % text)
    result = make_pool(files, tmp_path / "out").result
    assert result.rejects["blank text"] == 1
    assert result.unreadable == []


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


@pytest.mark.parametrize("items", range(3))
def test_a_build_that_was_killed_goes_on_to_the_same_content(files: str, tmp_path: Path, items: int) -> None:
    whole = make_pool(files, tmp_path / "whole").manifest
    with pytest.raises(KilledError):
        make_pool(files, tmp_path / "killed", tools=Resources(compute=StopsAfter(items)))
    resumed = make_pool(files, tmp_path / "killed", tools=Resources(compute=StopsAfter(3 - items))).manifest
    assert resumed.content_digest == whole.content_digest
    assert resumed.metrics == whole.metrics


@pytest.mark.parametrize(
    ("method", "name"), [("put_bytes", "b.bands.npy"), ("put_bytes", HELDOUT_BANDS), ("remove", "b.bands.npy")]
)
def test_a_build_that_was_killed_between_index_and_bands_goes_on_to_the_same_content(
    files: str, tmp_path: Path, method: str, name: str
) -> None:
    whole = make_pool(files, tmp_path / "whole").manifest
    unchanged = getattr(StageWriter, method)

    def dies(output: StageWriter, written: str, *data: bytes, **options: bool) -> None:
        if written == name:
            raise KilledError
        unchanged(output, written, *data, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StageWriter, method, dies)
        with pytest.raises(KilledError):
            make_pool(files, tmp_path / "killed")
    resumed = make_pool(files, tmp_path / "killed").manifest
    assert resumed.content_digest == whole.content_digest
    assert resumed.metrics == whole.metrics
    assert [file.name for file in resumed.files] == [file.name for file in whole.files]


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
    documents = documents_by_source(make_pool(f"{tmp_path}/urls.jsonl", tmp_path / "out").result)
    assert len(documents) == 101
    assert documents["(other sources)"] == 200


def test_what_is_counted_of_sources_is_bounded_while_counting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datashop_assets.documents.index.MET", 50)
    write_documents(tmp_path / "urls.jsonl", [{"text": f"a{i}", "source": f"http://{i % 70}.org"} for i in range(300)])
    documents = documents_by_source(make_pool(f"{tmp_path}/urls.jsonl", tmp_path / "out").result)
    assert len(documents) == 51
    assert sum(documents.values()) == 300
    assert documents["http://0.org"] == 5
    assert documents["(other sources)"] == 80
