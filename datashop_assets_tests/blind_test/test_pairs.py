"""Which documents are shown: one from each side of the cut, alike in source and length, none of them seen before."""

from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from datashop_assets.blind_test.pairs import DrawnPairs, draw_pairs
from datashop_assets.blind_test.results import RATIO
from datashop_assets.documents.pool import read_places
from datashop_assets_tests.blind_test.conftest import Made, made_of


def drawn(made: Made, wanted: int) -> DrawnPairs:
    return draw_pairs(made.pool, made.filtered, made.annotated, wanted)


def test_a_pair_is_of_one_source_and_of_similar_length_from_both_sides_of_the_cut(made: Made) -> None:
    found = drawn(made, 60)
    places = [side.place for pair in found.pairs for side in (pair.kept, pair.other)]
    texts = {place: one.text for place, one in read_places(made.pool, places).items()}
    assert len(found.pairs) == 60
    assert len(set(places)) == 120
    assert len({pair.kept.source for pair in found.pairs}) == 2
    for pair in found.pairs:
        lengths = len(texts[pair.kept.place]), len(texts[pair.other.place])
        assert lengths == (pair.kept.characters, pair.other.characters)
        assert max(lengths) / min(lengths) < RATIO
        assert pair.kept.source == pair.other.source
        assert "proof" in texts[pair.kept.place]
        assert "proof" not in texts[pair.other.place]


def test_no_text_that_was_annotated_is_shown(made: Made) -> None:
    contents = {side.content for pair in drawn(made, 200).pairs for side in (pair.kept, pair.other)}
    assert not contents & set(made.annotated)


def test_more_pairs_hold_all_those_of_fewer_in_the_same_order_of_places(made: Made) -> None:
    few, many = drawn(made, 21), drawn(made, 60)
    assert many.pairs[:21] == few.pairs


def test_each_side_is_shown_first_as_often_as_the_other(made: Made) -> None:
    orders = [pair.kept_first for pair in drawn(made, 60).pairs]
    assert sum(orders) == 30
    assert all(sum(orders[place : place + 2]) == 1 for place in range(0, 60, 2))
    assert 1 < sum(orders[::2]) < 29  # which of the two is first is not settled by the place


def test_kept_documents_without_a_partner_are_counted_and_passed_over(tmp_path: Path) -> None:
    """Of every source half is kept; but in one all long documents are kept, and of another all documents."""
    rows = [
        {"id": f"short{n}", "text": f"{n:03} {'proof' if n % 2 else 'river'}", "source": "mixed"} for n in range(100)
    ]
    rows += [{"id": f"long{n}", "text": f"{n:03} proof {'x' * 500}", "source": "mixed"} for n in range(10)]
    rows += [{"id": f"other{n}", "text": f"{n + 500} proof", "source": "kept as a whole"} for n in range(20)]
    made = made_of(tmp_path, rows, lambda text: "proof" in text, 0)
    some, every = drawn(made, 30), drawn(made, 80)

    assert Counter(pair.kept.source for pair in every.pairs) == {"mixed": 50}
    assert {pair.kept.characters for pair in every.pairs} == {9}
    assert every.unmatched == 30
    assert len(some.pairs) == 30
    assert 0 < some.unmatched < 30


def test_copies_of_a_text_are_one_document(tmp_path: Path) -> None:
    rows = [{"id": f"d{n}", "text": f"{n % 6} {'proof' if n % 2 else 'river'}", "source": "web"} for n in range(120)]
    made = made_of(tmp_path, rows, lambda text: "proof" in text, 0)
    pairs = drawn(made, 50).pairs
    assert len(pairs) == 3
    assert len({side.content for pair in pairs for side in (pair.kept, pair.other)}) == 6


def test_where_all_or_nothing_is_kept_there_is_no_pair(made: Made, tmp_path: Path) -> None:
    rows = [{"id": f"d{n}", "text": f"{n} river", "source": "web"} for n in range(20)]
    nothing, everything = (
        made_of(tmp_path / name, rows, lambda _, keep=keep: keep, 0)
        for name, keep in (("nothing", False), ("everything", True))
    )
    assert drawn(nothing, 5) == DrawnPairs([], 0)
    assert drawn(everything, 5) == DrawnPairs([], 20)


def test_scores_of_another_pool_are_refused(made: Made, tmp_path: Path) -> None:
    rows = [{"id": f"d{n}", "text": f"{n} river", "source": "web"} for n in range(20)]
    other = made_of(tmp_path, rows, lambda _: True, 0)
    with pytest.raises(
        ValueError, match=r"part-0.parquet of filtered_pool does not hold the rows .* materialize filtered_pool again"
    ):
        draw_pairs(made.pool, other.filtered, pl.Series([], dtype=pl.String), 5)
