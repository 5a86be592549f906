"""The report's figures: what stands in them, what is not defined, and what the intervals mean."""

import numpy as np
import pytest

from datashop_assets.annotator_report.agreement import agreement
from datashop_assets.statistics.ranking import spearman


def test_scores_that_are_all_alike_give_null_and_no_number_that_json_cannot_hold() -> None:
    same = np.full(20, 3.0)
    found = agreement(same, same, np.ones(20))

    assert found["spearman"] == {"value": None, "low": None, "high": None}
    assert found["same_score"] == {"value": 1.0, "low": 1.0, "high": 1.0}


def test_too_few_documents_give_no_figure() -> None:
    assert "fewer than 10" in agreement(np.ones(9), np.ones(9), np.ones(9))["note"]


def test_an_interval_is_as_wide_as_theory_says() -> None:
    random = np.random.default_rng(0)
    first = random.integers(0, 6, 400).astype(np.float64)
    second = np.where(random.random(400) < 0.8, first, 5 - first)
    found = agreement(first, second, np.ones(400))["same_score"]
    value, low, high = (found[end] or 0.0 for end in ("value", "low", "high"))

    assert high - low == pytest.approx(2 * 1.96 * (value * (1 - value) / 400) ** 0.5, rel=0.1)
    assert low < value < high


def test_the_rank_correlation_is_the_one_that_the_encoder_is_measured_by() -> None:
    random = np.random.default_rng(4)
    first, weights = random.uniform(0, 5, 80), random.choice([1.0, 9.0], 80)
    second = first + random.normal(size=80)
    assert agreement(first, second, weights)["spearman"]["value"] == spearman(first, second, weights[None])[0]
