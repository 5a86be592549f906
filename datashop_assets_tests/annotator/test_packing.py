"""Packing texts into rows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.annotator.packing import pack


@given(st.lists(st.integers(1, 64)), st.integers(1, 8))
def test_every_text_stands_in_one_row_and_no_row_overflows(lengths: list[int], most: int) -> None:
    rows = pack(lengths, 64, most)

    assert sorted(index for row in rows for index in row) == list(range(len(lengths)))
    assert all(row and len(row) <= most and sum(lengths[index] for index in row) <= 64 for row in rows)


def test_short_texts_fill_what_long_ones_leave() -> None:
    assert pack([10, 60, 20, 34], 64, 8) == [[1], [3, 2, 0]]


def test_a_text_that_fits_no_row_is_refused() -> None:
    with pytest.raises(ValueError, match="65 tokens fits no row of 64"):
        pack([65], 64, 8)
