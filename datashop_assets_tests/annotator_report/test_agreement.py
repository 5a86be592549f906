"""Figures of agreement against scikit-learn and scipy, and what the intervals mean."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import cohen_kappa_score, confusion_matrix

from datashop_assets.annotator_report import agreement as ours

SCORES = st.lists(st.tuples(st.floats(0, 5), st.floats(0, 5), st.integers(1, 4)), min_size=3, max_size=60)


def arrays(rows: list[tuple[float, float, int]]) -> tuple[ours.Array, ours.Array, ours.Array]:
    first, second, weights = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
    return first, second, weights


@given(SCORES)
def test_kappa_and_confusion_are_those_of_scikit_learn(rows: list[tuple[float, float, int]]) -> None:
    first, second, weights = arrays(rows)
    labels = list(range(6))
    table = confusion_matrix(ours.whole(first), ours.whole(second), labels=labels, sample_weight=weights)
    assert ours.confusion(first, second, weights) == pytest.approx(table)

    if len({*ours.whole(first), *ours.whole(second)}) > 1:
        golden = cohen_kappa_score(
            ours.whole(first), ours.whole(second), labels=labels, weights="quadratic", sample_weight=weights
        )
        assert ours.quadratic_kappa(first, second, weights) == pytest.approx(golden)


@given(SCORES)
def test_spearman_is_that_of_scipy(rows: list[tuple[float, float, int]]) -> None:
    first, second, _ = arrays(rows)
    found = ours.spearman(first, second, np.ones(len(first)))

    if len(set(first)) > 1 and len(set(second)) > 1:
        assert found == pytest.approx(spearmanr(first, second).statistic)
    else:
        assert np.isnan(found)


def test_scores_that_are_all_alike_give_null_and_no_number_that_json_cannot_hold() -> None:
    same = np.full(20, 3.0)
    found = ours.agreement(same, same, np.ones(20))

    assert found["spearman"] == {"value": None, "low": None, "high": None}
    assert found["same_score"] == {"value": 1.0, "low": 1.0, "high": 1.0}


def test_too_few_documents_give_no_figure() -> None:
    assert "fewer than 10" in ours.agreement(np.ones(9), np.ones(9), np.ones(9))["note"]


def test_an_interval_is_as_wide_as_theory_says() -> None:
    random = np.random.default_rng(0)
    first = random.integers(0, 6, 400).astype(np.float64)
    second = np.where(random.random(400) < 0.8, first, 5 - first)
    found = ours.interval(ours.same_score, first, second, np.ones(400))
    value, low, high = (found[end] or 0.0 for end in ("value", "low", "high"))

    assert high - low == pytest.approx(2 * 1.96 * (value * (1 - value) / 400) ** 0.5, rel=0.1)
    assert low < value < high
