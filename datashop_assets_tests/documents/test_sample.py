"""The sample: random, stable, and never anything held out."""

from pathlib import Path
from typing import Any

import pytest

from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets_tests.documents.making import make_pool, make_sample, write_documents
from datashop_assets_tests.documents.test_pool import rows


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    for shard in range(4):
        write_documents(folder / f"{shard}.jsonl.zst", rows(100 * shard, 100))
    return folder


@pytest.fixture
def pool(folder: Path, tmp_path: Path) -> StageFolder:
    return make_pool(str(folder), tmp_path / "pool")


def drawn(sample: StageFolder) -> list[dict[str, Any]]:
    return list(sample.rows("sample.parquet"))


def test_a_larger_sample_begins_with_the_smaller(folder: Path, pool: StageFolder, tmp_path: Path) -> None:
    small, large = (drawn(make_sample(str(folder), tmp_path / str(n), pool, n)) for n in (20, 100))
    assert len(small) == 20
    assert large[:20] == small
    assert {row["text"] for row in large} <= {row["text"] for row in rows(0, 400)}


def test_nothing_held_out_or_near_it_is_drawn_and_both_are_counted(
    folder: Path, pool: StageFolder, tmp_path: Path
) -> None:
    sample = make_sample(str(folder), tmp_path / "all", pool, 1000)
    split = {row["content"]: row["split"] for shard in "0123" for row in pool.rows(f"{shard}.parquet")}
    assert {split[row["content"]] for row in drawn(sample)} == {"train"}
    counts = {name: numbers["documents"] for name, numbers in pool.metrics["by_split"].items()}
    assert sample.metrics["documents"] == sample.metrics["available"] == counts["train"]
    assert sample.metrics["excluded"] == {
        "heldout": counts["heldout"],
        "near_heldout": counts.get("near_heldout", 0),
    }


def test_documents_of_another_source_that_nearly_stand_in_the_held_out_part_are_excluded(
    folder: Path, pool: StageFolder, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    nearly = [{"id": row["id"], "text": f"{row['text']} and one word more"} for row in rows(0, 400)]
    write_documents(tmp_path / "other" / "a.jsonl", nearly)
    sample = make_sample(f"{tmp_path}/other/*.jsonl", tmp_path / "sample", pool, 1000)
    heldout = {row["id"] for shard in "0123" for row in pool.rows(f"{shard}.parquet") if row["split"] == "heldout"}
    assert {row["id"] for row in drawn(sample)}.isdisjoint(heldout)
    assert sample.metrics["excluded"]["near_heldout"] > len(heldout) / 2


def test_the_draw_depends_on_no_order_of_rows_or_files(folder: Path, pool: StageFolder, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    everything = rows(0, 400)
    write_documents(tmp_path / "other" / "z.jsonl.gz", everything[:150][::-1])
    write_documents(tmp_path / "other" / "a.parquet", everything[150:])
    samples = [make_sample(str(where), tmp_path / f"s{where.name}", pool, 50) for where in (folder, tmp_path / "other")]
    assert drawn(samples[0]) == drawn(samples[1])


def test_a_text_and_an_id_are_drawn_once(pool: StageFolder, tmp_path: Path) -> None:
    (tmp_path / "twice").mkdir()
    write_documents(tmp_path / "twice" / "a.jsonl", rows(0, 100) * 40)
    write_documents(tmp_path / "twice" / "b.jsonl", [{**row, "id": f"again-{row['id']}"} for row in rows(0, 100)])
    write_documents(tmp_path / "twice" / "c.jsonl", [{**row, "id": "d1"} for row in rows(500, 50)])
    sample = make_sample(f"{tmp_path}/twice", tmp_path / "sample", pool, 200)
    found = drawn(sample)
    assert sample.metrics["repeated"] == sample.metrics["available"] - len(found) > 0
    assert len({row["content"] for row in found}) == len({row["id"] for row in found}) == len(found)
    assert not any(row["id"].startswith("again") for row in found)
