"""The two rounds: sizes, weights and draws."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.annotations.design import Design, Row, first_round, plan_rounds, second_round

COUNTS = {"size": st.integers(1, 3000), "documents": st.integers(1, 1500), "second": st.integers(0, 800)}


@given(strata=st.integers(2, 20), **COUNTS)
def test_weights_are_at_least_one_and_add_up_to_the_sample(size: int, documents: int, second: int, strata: int) -> None:
    design = plan_rounds(size, documents, second, strata)
    stands_for = [stratum.drawn * design.second_weight(stratum) for stratum in design.strata]
    weights = [design.first_weight, *map(design.second_weight, design.strata)]

    assert design.first.drawn == min(documents, size)
    assert sum(stratum.drawn for stratum in design.strata) == min(second, size - design.first.drawn)
    assert sum(stratum.size for stratum in design.strata) in (0, size - design.first.drawn)
    assert min(weights) >= 1
    assert design.first.drawn * design.first_weight + sum(stands_for) == pytest.approx(size)


@pytest.mark.parametrize(("documents", "second", "strata"), [(450, 150, 4), (300, 300, 4), (400, 200, 7)])
def test_no_sample_size_gives_a_weight_that_rounds_below_one(documents: int, second: int, strata: int) -> None:
    for size in range(601, 4001):
        design = plan_rounds(size, documents, second, strata)
        for weight in (design.first_weight, *map(design.second_weight, design.strata)):
            assert 0 < 1 / weight <= 1, size


def test_the_top_eighth_gets_a_quarter_of_the_second_round() -> None:
    strata = plan_rounds(size=4450, documents=450, second=160, strata=4).strata

    assert [stratum.size for stratum in strata] == [2000, 1000, 500, 500]
    assert [stratum.drawn for stratum in strata] == [40, 40, 40, 40]


def test_an_empty_sample_is_refused_with_its_numbers() -> None:
    with pytest.raises(ValueError, match="450 documents to annotate from a sample of 0"):
        plan_rounds(0, 450, 150, 4)


def test_no_document_is_drawn_twice_and_order_of_arrival_does_not_matter() -> None:
    sample = rows(400)
    design = plan_rounds(400, 100, 60, 4)
    one, other = drawn(sample, design), drawn(sample[::-1], design)

    assert len(one) == len(set(one)) == 160
    assert one == other


def test_weighted_totals_are_right_on_average_even_with_a_pilot_that_learned_its_draws_by_heart() -> None:
    found = []
    for repeat in range(300):
        sample = rows(300, prefix=f"{repeat}-")
        truth = [int(row["content"].rpartition("-")[2]) % 10 == 0 for row in sample]
        positive = {row["content"] for row, yes in zip(sample, truth, strict=True) if yes}
        design = plan_rounds(300, 60, 40, 3)
        first, rest = first_round(sample, design)
        share = sum(one.row["content"] in positive for one in first)
        scores = [float((row["content"] in positive) == (share % 2 == 0)) for row in rest]
        chosen = [*first, *second_round(rest, scores, design)]
        found.append(sum(one.weight for one in chosen if one.row["content"] in positive))

    spread = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found) - 30) < 4 * spread
    assert spread < 0.7


def rows(count: int, prefix: str = "") -> list[Row]:
    return [{"id": str(place), "content": f"{prefix}{place}"} for place in range(count)]


def drawn(sample: Sequence[Row], design: Design) -> list[str]:
    first, rest = first_round(sample, design)
    scores = [float(len(row["content"])) for row in rest]
    return [one.row["id"] for one in [*first, *second_round(rest, scores, design)]]
