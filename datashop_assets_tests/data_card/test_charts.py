"""Charts take their colours from the page and keep hostile names text."""

import re
from typing import Any

import polars as pl
import pytest

from datashop_assets.data_card import charts
from datashop_assets.data_card.documents import CELL, merged, scan_shard, yields
from datashop_assets.filtered_pool.results import Selection
from datashop_assets_tests.data_card.cards import SOURCES
from datashop_assets_tests.data_card.test_scan import pool


def hostile_cells() -> pl.DataFrame:
    parts = [scan_shard(pool(100).with_columns(source=pl.lit(name))) for name in SOURCES]
    return merged(parts).cells.sort(CELL)


def test_a_source_called_like_markup_is_a_name() -> None:
    counts = {
        name: Selection(documents=1, bytes=10, kept_documents=1, kept_bytes=place) for place, name in enumerate(SOURCES)
    }
    for svg in (charts.scored(hostile_cells(), 0.5), charts.sources(counts)):
        assert not re.search(r"<script|<img", svg)
    assert "&lt;img" in charts.sources(counts)


def test_a_yield_counts_what_has_at_least_a_score() -> None:
    found = yields(merged([scan_shard(pool(1000))]).cells)
    assert [found[name][0] for name in ("documents", "bytes")] == [1000, sum(range(1000))]
    assert (found["score"][90], found["documents"][90]) == (0.9, 100)
    assert found["bytes"][99] == sum(range(990, 1000))


def test_colours_are_the_pages_and_the_same_figures_give_the_same_bytes() -> None:
    svg = charts.yields(yields(hostile_cells()), 0.5)
    assert "var(--first)" in svg
    assert not re.search(r"(?:fill|stroke): #0[1-6]0", svg)
    assert svg == charts.yields(yields(hostile_cells()), 0.5)


def test_the_ids_of_two_charts_never_meet() -> None:
    row: dict[str, Any] = {
        "kind": "target",
        "source": "",
        "documents": 3,
        "difference": -0.1,
        "low": None,
        "high": None,
    }
    both = charts.yields(yields(hostile_cells()), None) + charts.comparison([row | {"verdict": "better"}])
    ids = re.findall(r'\bid="([^"]+)"', both)
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("most", [3, 300, 30_000, 10**9])
def test_the_axis_of_documents_is_labelled_whatever_the_pool(most: int) -> None:
    cells = pl.DataFrame({"source": "a", "bin": range(100), "documents": [most] + [1] * 99, "bytes": 1})
    assert len(re.findall(r">[125]0*(?:,000)*</text>", charts.scored(cells, 0.5))) >= 2
