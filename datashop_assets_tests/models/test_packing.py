"""Packing documents into rows: each stands in one, whole, and none overflows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.models.packing import first_fit, lay_out, pack, shortest_beside_longest


@given(st.lists(st.integers(1, 64)), st.integers(1, 8))
def test_every_text_stands_in_one_row_and_no_row_overflows(lengths: list[int], most: int) -> None:
    rows = first_fit(lengths, 64, most)

    assert sorted(index for row in rows for index in row) == list(range(len(lengths)))
    assert all(row and len(row) <= most and sum(lengths[index] for index in row) <= 64 for row in rows)


@given(st.lists(st.integers(0, 64), max_size=60), st.integers(1, 8))
def test_each_text_stands_in_the_first_row_with_space(lengths: list[int], most: int) -> None:
    rows: list[list[int]] = []
    for document in sorted(range(len(lengths)), key=lambda document: -lengths[document]):
        fitting = (row for row in rows if len(row) < most and sum(lengths[one] for one in [*row, document]) <= 64)
        if (row := next(fitting, None)) is None:
            rows.append(row := [])
        row.append(document)
    assert first_fit(lengths, 64, most) == rows


def test_short_texts_fill_what_long_ones_leave() -> None:
    assert first_fit([10, 60, 20, 34], 64, 8) == [[1], [3, 2, 0]]


@given(st.lists(st.integers(1, 64)))
def test_the_longest_text_that_is_left_begins_a_row_and_the_shortest_fill_it(lengths: list[int]) -> None:
    rows = shortest_beside_longest(lengths, 64)

    assert sorted(index for row in rows for index in row) == list(range(len(lengths)))
    assert all(sum(lengths[index] for index in row) <= 64 for row in rows)
    assert [lengths[row[0]] for row in rows] == sorted((lengths[row[0]] for row in rows), reverse=True)
    beside = [index for row in rows for index in row[1:]]
    assert beside == sorted(beside, key=lambda index: (lengths[index], index))


def test_short_texts_stand_beside_the_longest() -> None:
    assert shortest_beside_longest([10, 60, 20, 34], 64) == [[1], [3, 0, 2]]


def test_rows_that_hold_nothing_are_padding() -> None:
    laid_out = lay_out([[7, 8]], [[0]], 3, height=2)
    assert laid_out.tokens.tolist() == [[7, 8, 0], [0, 0, 0]]
    assert laid_out.segments.tolist() == [[1, 1, 0], [0, 0, 0]]


def test_a_text_that_fits_no_row_is_refused() -> None:
    with pytest.raises(ValueError, match="65 tokens fits no row of 64"):
        first_fit([65], 64, 8)


@given(st.lists(st.integers(1, 16), min_size=1, max_size=40), st.integers(1, 6))
def test_packed_rows_hold_every_document_once_and_whole(lengths: list[int], most: int) -> None:
    documents = [[number + 1] * length for number, length in enumerate(lengths)]
    packed = pack(documents, 16, most)
    for document, (row, number) in zip(documents, packed.places, strict=True):
        here = packed.segments[row] == number + 1
        assert packed.tokens[row][here].tolist() == document
        assert packed.positions[row][here].tolist() == list(range(len(document)))
        assert number < most
    assert (packed.segments > 0).sum() == sum(lengths)
