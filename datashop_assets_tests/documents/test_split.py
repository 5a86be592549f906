"""What is held out: a matter of content and of the listed sizes, and bounded however large the pool."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.documents.split import (
    FILE_BYTES_A_DOCUMENT,
    MOST_HELDOUT,
    bounded_fraction,
    content_of,
    is_heldout,
)
from datashop_assets.documents.steps import pretraining_pool
from datashop_assets.prompts.prompt import parse_prompt
from datashop_assets_tests.documents.making import make_pool, rows, write_documents

FRACTIONS = st.floats(0.0, 0.5, exclude_min=True)
BYTES = st.integers(0, 10**17)


def fraction_of(pool: Path, heldout_fraction: float = 0.3) -> float:
    """What is held out of the files in a folder, known before any is read."""
    annotator = {"scoring": "generate", "model": "some/model"}
    fields = {"name": "x", "rubric": "{example}", "annotator": annotator, "pretraining_pool": str(pool)}
    prompt = parse_prompt({**fields, "heldout_fraction": heldout_fraction}, "x", "x")
    config = pretraining_pool.configure(prompt)
    assert config is not None
    return config.heldout_fraction


def write_empty(folder: Path, *sizes: int) -> Path:
    """Files of these sizes that take no room on the disk."""
    folder.mkdir()
    for number, size in enumerate(sizes):
        with (folder / f"{number}.parquet").open("wb") as file:
            file.truncate(size)
    return folder


@given(FRACTIONS, BYTES)
def test_no_more_than_some_20000_documents_are_held_out_and_never_more_than_is_asked_for(
    fraction: float, size: int
) -> None:
    found = bounded_fraction(fraction, size)
    assert 0 < found <= fraction
    assert found * size / FILE_BYTES_A_DOCUMENT <= MOST_HELDOUT * (1 + 1e-9)


@given(FRACTIONS, BYTES, BYTES, st.text())
def test_a_pool_that_grows_holds_out_a_part_of_what_it_held_out_before(
    fraction: float, size: int, more: int, text: str
) -> None:
    content, before, after = content_of(text), bounded_fraction(fraction, size), bounded_fraction(fraction, size + more)
    assert is_heldout(content, before) or not is_heldout(content, after)


def test_the_bound_holds_on_200000_documents() -> None:
    documents = 200_000
    fraction = bounded_fraction(0.3, documents * FILE_BYTES_A_DOCUMENT)
    heldout = sum(is_heldout(content_of(f"document {number}"), fraction) for number in range(documents))
    assert heldout == pytest.approx(MOST_HELDOUT, rel=0.03)


def test_a_small_pool_holds_out_the_fraction_that_the_prompt_names(tmp_path: Path) -> None:
    assert fraction_of(write_empty(tmp_path / "small", 10_000_000), 0.3) == 0.3


def test_a_large_pool_holds_out_as_much_however_it_is_cut_into_files(tmp_path: Path) -> None:
    one = fraction_of(write_empty(tmp_path / "one", 40 * 10**9))
    many = fraction_of(write_empty(tmp_path / "many", *[10**9] * 40))
    assert one == many == 20_000 / 40_000_000
    assert fraction_of(tmp_path / "many", 0.2) == many  # so that prompts of other fractions share the pool


def test_a_bounded_pool_holds_out_the_documents_with_the_smallest_hashes(tmp_path: Path) -> None:
    write_documents(tmp_path / "a.jsonl", rows(0, 400))
    few, many = (
        {
            row["content"]
            for row in make_pool(f"{tmp_path}/a.jsonl", tmp_path / str(fraction), fraction).rows("a.parquet")
            if row["split"] == "heldout"
        }
        for fraction in (0.05, 0.3)
    )
    assert 5 < len(few) < len(many)
    assert few < many
