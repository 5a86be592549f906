"""Figures at a threshold and of two readings equal scikit-learn's, for any weights."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    brier_score_loss,
    cohen_kappa_score,
    confusion_matrix,
    f1_score,
    precision_score,
    recall_score,
)

from datashop_assets.statistics import agreement
from datashop_assets.statistics.intervals import Array
from datashop_assets_tests.statistics.test_ranking import Scored, few, scored

SCORES = st.lists(st.tuples(st.floats(0, 5), st.floats(0, 5), st.integers(1, 4)), min_size=3, max_size=60)


def unweighted_f1(name: Callable[..., float]) -> Callable[[Array, Array, Array], float]:
    return lambda label, score, weight: name(label, score >= 0.5, sample_weight=weight, zero_division=0.0)


@few
@given(scored())
def test_precision_recall_and_f1_are_scikit_learns(sample: Scored) -> None:
    score, label, weight = sample
    found = agreement.precision_recall_f1(score, label, weight[None])
    for ours, theirs in zip(found, (precision_score, recall_score, f1_score), strict=True):
        assert ours[0] == pytest.approx(unweighted_f1(theirs)(label, score, weight))


@few
@given(scored())
def test_macro_f1_is_scikit_learns(sample: Scored) -> None:
    score, label, weight = sample
    theirs = f1_score(label, score >= 0.5, sample_weight=weight, average="macro", labels=[0, 1], zero_division=0)
    assert agreement.macro_f1(score, label, weight[None])[0] == pytest.approx(theirs)


@few
@given(scored())
def test_brier_is_scikit_learns(sample: Scored) -> None:
    score, label, weight = sample
    assert agreement.brier(score, label, weight[None])[0] == pytest.approx(
        brier_score_loss(label, score, sample_weight=weight)
    )


def arrays(rows: list[tuple[float, float, int]]) -> tuple[Array, Array, Array]:
    first, second, weights = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
    return first, second, weights


@given(SCORES)
def test_kappa_and_confusion_are_those_of_scikit_learn(rows: list[tuple[float, float, int]]) -> None:
    first, second, weights = arrays(rows)
    one, two, labels = agreement.whole(first), agreement.whole(second), list(range(6))
    table = confusion_matrix(one, two, labels=labels, sample_weight=weights)
    assert agreement.confusion(first, second, weights[None])[0] == pytest.approx(table)

    found = agreement.quadratic_kappa(first, second, weights[None])[0]
    if len({*one, *two}) > 1:
        golden = cohen_kappa_score(one, two, labels=labels, weights="quadratic", sample_weight=weights)
        assert found == pytest.approx(golden)
    else:
        assert np.isnan(found)


@given(SCORES)
def test_same_scores_and_differences_are_weighted_means(rows: list[tuple[float, float, int]]) -> None:
    first, second, weights = arrays(rows)
    same = agreement.whole(first) == agreement.whole(second)
    assert agreement.same_score(first, second, weights[None])[0] == pytest.approx(np.average(same, weights=weights))
    difference = agreement.mean_difference(first, second, weights[None])[0]
    assert difference == pytest.approx(np.average(second - first, weights=weights), abs=1e-12)


def test_many_weightings_at_once_are_each_what_they_are_alone() -> None:
    random = np.random.default_rng(0)
    first, second, weights = random.uniform(0, 5, 50), random.uniform(0, 5, 50), random.random((7, 50))
    for figure in (agreement.quadratic_kappa, agreement.same_score, agreement.mean_difference):
        alone = [figure(first, second, row[None])[0] for row in weights]
        np.testing.assert_allclose(figure(first, second, weights), alone)


def test_half_points_are_rounded_upward() -> None:
    assert agreement.whole(np.array([0.0, 0.5, 1.49, 2.5, 4.5, 5.0])).tolist() == [0, 1, 1, 3, 5, 5]
