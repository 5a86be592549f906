"""The sample: random, stable, and never anything held out."""

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.core.step import StepOutput
from datashop_assets.documents import sampling
from datashop_assets.documents.nearness import HeldoutBands
from datashop_assets.documents.results import PretrainingPoolResult
from datashop_assets.documents.sampling import Candidate, draw, first, named_apart
from datashop_assets.documents.split import Split, content_of
from datashop_assets.protocols.documents import Document
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets_tests.documents.making import make_pool, make_sample, rows, text, write_documents

Pool = StepOutput[PretrainingPoolResult]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    for shard in range(4):
        write_documents(folder / f"{shard}.jsonl.zst", rows(100 * shard, 100))
    return folder


@pytest.fixture
def pool(folder: Path, tmp_path: Path) -> Pool:
    return make_pool(str(folder), tmp_path / "pool")


def drawn(sample: StageFolder) -> list[dict[str, Any]]:
    return list(sample.rows("sample.parquet"))


def test_a_larger_sample_begins_with_the_smaller(folder: Path, pool: Pool, tmp_path: Path) -> None:
    small, large = (drawn(make_sample(str(folder), tmp_path / str(n), pool, n)) for n in (20, 100))
    assert len(small) == 20
    assert large[:20] == small
    assert {row["text"] for row in large} <= {row["text"] for row in rows(0, 400)}


def test_nothing_held_out_or_near_it_is_drawn_and_both_are_counted(folder: Path, pool: Pool, tmp_path: Path) -> None:
    nearly = [{"id": f"near-{row['id']}", "text": f"{row['text']} and one word more"} for row in rows(0, 400)]
    write_documents(folder / "4.jsonl", nearly)
    pool = make_pool(str(folder), tmp_path / "wider")
    sample = make_sample(str(folder), tmp_path / "all", pool, 1000)
    index = [row for shard in "01234" for row in pool.rows(f"{shard}.parquet")]
    split = {row["content"]: row["split"] for row in index}
    texts = {row["id"]: row["text"] for row in [*rows(0, 400), *nearly]}
    heldout = [texts[row["id"]] for row in index if row["split"] == "heldout"]
    assert {split[row["content"]] for row in drawn(sample)} == {"train"}
    assert not any(HeldoutBands.of(heldout).near(row["text"] for row in drawn(sample)))
    assert sample.result.heldout == len(heldout)
    assert sample.result.near_heldout > len(heldout) / 2
    assert sample.result.available == len(index) - len(heldout) == pool.result.by_split[Split.TRAIN].documents
    assert sample.result.documents == sample.result.available - sample.result.near_heldout == len(drawn(sample))


def test_documents_of_another_source_that_nearly_stand_in_the_held_out_part_are_excluded(
    folder: Path, pool: Pool, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    nearly = [{"id": row["id"], "text": f"{row['text']} and one word more"} for row in rows(0, 400)]
    write_documents(tmp_path / "other" / "a.jsonl", nearly)
    sample = make_sample(f"{tmp_path}/other/*.jsonl", tmp_path / "sample", pool, 1000)
    heldout = {row["id"] for shard in "0123" for row in pool.rows(f"{shard}.parquet") if row["split"] == "heldout"}
    assert {row["id"] for row in drawn(sample)}.isdisjoint(heldout)
    assert sample.result.near_heldout > len(heldout) / 2


def test_the_draw_depends_on_no_order_of_rows_or_files(folder: Path, pool: Pool, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    everything = rows(0, 400)
    write_documents(tmp_path / "other" / "z.jsonl.gz", everything[:150][::-1])
    write_documents(tmp_path / "other" / "a.parquet", everything[150:])
    samples = [make_sample(str(where), tmp_path / f"s{where.name}", pool, 50) for where in (folder, tmp_path / "other")]
    assert drawn(samples[0]) == drawn(samples[1])


def test_a_text_and_an_id_are_drawn_once(pool: Pool, tmp_path: Path) -> None:
    (tmp_path / "twice").mkdir()
    write_documents(tmp_path / "twice" / "a.jsonl", rows(0, 100) * 40)
    write_documents(tmp_path / "twice" / "b.jsonl", [{**row, "id": f"e-again-{row['id']}"} for row in rows(0, 100)])
    write_documents(tmp_path / "twice" / "c.jsonl", [{**row, "id": "d1"} for row in rows(500, 50)])
    sample = make_sample(f"{tmp_path}/twice", tmp_path / "sample", pool, 200)
    found = drawn(sample)
    assert sample.result.repeated == sample.result.available - len(found) > 0
    assert len({row["content"] for row in found}) == len({row["id"] for row in found}) == len(found)
    assert not any(row["id"].startswith("e-again") for row in found)  # the smallest id of a text is taken


def test_what_is_left_out_is_made_up_for_however_much_it_is(
    folder: Path, pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four of five texts that come up are near held-out ones, so the files are read more than once."""
    heldout = [row["id"] for shard in "0123" for row in pool.rows(f"{shard}.parquet") if row["split"] == "heldout"]
    nearly = [
        {"id": f"near-{name}-{word}", "text": f"{text(int(name[1:]))} {word}"}
        for name in heldout
        for word in ("one", "two", "three", "four")
    ]
    (tmp_path / "other").mkdir()
    write_documents(tmp_path / "other" / "a.jsonl", [*nearly, *rows(1000, len(heldout))])
    whole = make_sample(str(tmp_path / "other"), tmp_path / "whole", pool, 50)
    monkeypatch.setattr(sampling, "SPARE", 0)
    again = make_sample(str(tmp_path / "other"), tmp_path / "again", pool, 50)
    assert drawn(again) == drawn(whole)
    assert again.result == whole.result
    assert whole.result.documents == 50
    assert whole.result.near_heldout > 100


HELDOUT, TRAIN = [text(number) for number in range(4)], [text(number) for number in range(100, 108)]
NEARLY = [f"{one} and one word more" for one in HELDOUT]
DOCUMENTS = st.builds(
    Document,
    id=st.sampled_from(["a", "b", "c", "d", "e"]),
    text=st.sampled_from(TRAIN + NEARLY),
    source=st.sampled_from(["web", "books"]),
)


@given(
    shards=st.lists(st.lists(DOCUMENTS, max_size=8), min_size=1, max_size=5),
    order=st.randoms(),
    wanted=st.integers(1, 6),
    count=st.integers(1, 20),
)
def test_the_draw_is_the_same_however_documents_are_ordered_and_spread_over_shards(
    shards: list[list[Document]], order: random.Random, wanted: int, count: int
) -> None:
    heldout = HeldoutBands.of(HELDOUT)
    parts = [first(map(candidate, shard), count) for shard in shards]
    everything = [candidate(document) for shard in shards for document in shard]
    order.shuffle(everything)
    merged = first((one for part in parts for one in part), count)
    assert merged == first(everything, count)
    found = draw(merged, heldout, wanted)
    assert not any(heldout.near(one.text for one in found.documents))
    names = named_apart(found.documents)
    assert len(set(names)) == len({one.content for one in found.documents}) == len(found.documents)
    assert all(name.split("#")[0] == one.id for name, one in zip(names, found.documents, strict=True))
    more = draw(first(everything, 100), heldout, wanted)
    assert more.documents[: len(found.documents)] == found.documents


def candidate(document: Document) -> Candidate:
    return Candidate.of(document, content_of(document.text))
