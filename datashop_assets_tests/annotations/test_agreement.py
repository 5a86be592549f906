"""The report's figures: what stands in them, what is not defined, and what the intervals mean."""

import numpy as np
import pytest

from datashop_assets.annotations.report import agreement
from datashop_assets.annotations.results import Agreement, NoAgreement
from datashop_assets.statistics.figure import Figure
from datashop_assets.statistics.intervals import Array
from datashop_assets.statistics.ranking import spearman


def agreed(first: Array, second: Array, weights: Array) -> Agreement:
    found = agreement(first, second, weights, asked=len(first) + 1)
    assert isinstance(found, Agreement)
    return found


def test_scores_that_are_all_alike_give_no_figure_that_json_cannot_hold() -> None:
    same = np.full(20, 3.0)
    found = agreed(same, same, np.ones(20))

    assert found.spearman is None
    assert found.same_score == Figure(value=1.0, low=1.0, high=1.0, n=20, unit="documents")
    assert (found.documents, found.without_score) == (20, 1)


def test_too_few_documents_give_no_figure() -> None:
    found = agreement(np.ones(9), np.ones(9), np.ones(9), asked=9)
    assert isinstance(found, NoAgreement)
    assert "fewer than 10" in found.note


def test_an_interval_is_as_wide_as_theory_says() -> None:
    random = np.random.default_rng(0)
    first = random.integers(0, 6, 400).astype(np.float64)
    second = np.where(random.random(400) < 0.8, first, 5 - first)
    found = agreed(first, second, np.ones(400)).same_score
    assert found is not None
    assert found.low is not None
    assert found.high is not None

    assert found.high - found.low == pytest.approx(2 * 1.96 * (found.value * (1 - found.value) / 400) ** 0.5, rel=0.1)
    assert found.low < found.value < found.high


def test_the_rank_correlation_is_the_one_that_the_encoder_is_measured_by() -> None:
    random = np.random.default_rng(4)
    first, weights = random.uniform(0, 5, 80), random.choice([1.0, 9.0], 80)
    second = first + random.normal(size=80)
    found = agreed(first, second, weights).spearman
    assert found is not None
    assert found.value == spearman(first, second, weights[None])[0]
