"""What one pass over the pool counts and picks, whatever the number of shards."""

from pathlib import Path

import polars as pl
import pytest

from datashop_assets.data_card.documents import SHOWN, Scan, annotated, merged, samples, scan, scan_shard
from datashop_assets_tests.data_card.cards import card_run, names


def pool(documents: int) -> pl.DataFrame:
    """Scores 0, 1/n, …, each in the bin of its hundredth; the best tenth is kept."""
    numbers = range(documents)
    return pl.DataFrame(
        {
            "shard": ["s"] * documents,
            "row": list(numbers),
            "id": [f"d{n}" for n in numbers],
            "source": ["ab"[n % 2] for n in numbers],
            "split": ["train"] * documents,
            "bytes": list(numbers),
            "score": [n / documents for n in numbers],
            "bin": [100 * n // documents for n in numbers],
            "kept": [10 * n >= 9 * documents for n in numbers],
        }
    )


@pytest.mark.parametrize("shards", [1, 3, 7])
def test_counts_and_samples_do_not_depend_on_how_the_pool_is_cut(shards: int) -> None:
    whole = pool(1000)
    parts = [scan_shard(whole.gather_every(shards, offset)) for offset in range(shards)]
    found = merged(parts)
    assert found.cells["documents"].sum() == 1000
    assert found.cells["bytes"].sum() == sum(range(1000))
    assert found.cells.filter("kept")["documents"].sum() == 100
    assert [row["id"] for row in found.best] == [f"d{n}" for n in range(999, 999 - SHOWN, -1)]
    assert [row["id"] for row in found.above] == [f"d{n}" for n in range(900, 900 + SHOWN)]
    assert [row["id"] for row in found.below] == [f"d{n}" for n in range(899, 899 - SHOWN, -1)]


def test_a_killed_scan_goes_on_after_the_last_shard(tmp_path: Path) -> None:
    card = card_run(tmp_path)
    whole = scan(card, names(2))
    (tmp_path / "filtered_pool" / "part-0.parquet").unlink()  # scanned before: not read again
    again = scan(card, names(2))
    assert again.cells.equals(whole.cells)
    assert again.samples == whole.samples


def test_samples_show_the_text_that_was_read(tmp_path: Path) -> None:
    card = card_run(tmp_path)
    found = samples(card, scan(card, names(2)), annotated(card))
    assert [one["id"].split()[0] for one in found["Best"]] == [f"d{n}" for n in range(39, 31, -1)]
    assert all(one["text"].startswith(one["id"].split()[0][1:] + " waves") for one in found["Best"])
    assert all(one["target"] > one["unseen"] for one in found["The annotator says more, the encoder less"])
    assert all(one["target"] < one["unseen"] for one in found["The encoder says more, the annotator less"])


def test_an_empty_side_of_the_cut_is_no_error() -> None:
    nothing_kept = pool(50).with_columns(kept=pl.lit(value=False))
    found: Scan = merged([scan_shard(nothing_kept)])
    assert not found.above
    assert len(found.below) == SHOWN
