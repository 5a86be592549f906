"""Every figure equals scikit-learn's or scipy's, for any weights and ties, and by brute force where they have none."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)

from datashop_assets.encoder import agreement
from datashop_assets.encoder.agreement import Array

few = settings(max_examples=40, deadline=None)
Scored = tuple[Array, Array, Array]


@st.composite
def scored(draw: st.DrawFn) -> Scored:
    """Scores with many ties, labels of both classes, whole-numbered weights."""
    size = draw(st.integers(2, 40))
    scores = draw(st.lists(st.integers(0, 10), min_size=size, max_size=size))
    labels = draw(st.lists(st.integers(0, 1), min_size=size, max_size=size))
    weights = draw(st.lists(st.integers(1, 5), min_size=size, max_size=size))
    assume(0 < sum(labels) < size)
    return np.array(scores) / 10, np.array(labels, dtype=np.float64), np.array(weights, dtype=np.float64)


def unweighted_f1(name: Callable[..., float]) -> Callable[[Array, Array, Array], float]:
    return lambda label, score, weight: name(label, score >= 0.5, sample_weight=weight, zero_division=0.0)


@few
@given(scored())
def test_auc_is_scikit_learns(sample: Scored) -> None:
    score, label, weight = sample
    assert agreement.auc(score, label, weight[None])[0] == pytest.approx(
        roc_auc_score(label, score, sample_weight=weight)
    )


@few
@given(scored())
def test_average_precision_is_scikit_learns(sample: Scored) -> None:
    score, label, weight = sample
    assert agreement.average_precision(score, label, weight[None])[0] == pytest.approx(
        average_precision_score(label, score, sample_weight=weight)
    )


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


@few
@given(scored())
def test_a_document_of_weight_three_counts_as_three_documents(sample: Scored) -> None:
    score, _, weight = sample
    times = weight.astype(int)
    other = np.sin(np.arange(len(score)))
    ours = agreement.spearman(score, other, weight[None])[0]
    assume(len(set(score)) > 1)
    assert ours == pytest.approx(spearmanr(np.repeat(score, times), np.repeat(other, times)).statistic)


@few
@given(scored())
def test_precision_at_share_is_the_mean_over_all_orders_of_ties(sample: Scored) -> None:
    score, label, _ = sample
    wanted = int(label.sum())
    cut = np.sort(score)[::-1][wanted - 1]
    above, tied = score > cut, score == cut
    room = wanted - above.sum()
    expected = (label[above].sum() + label[tied].mean() * room) / wanted
    assert agreement.precision_at_share(score, label, np.ones((1, len(score))))[0] == pytest.approx(expected)


@settings(max_examples=20)
@given(scored(), st.randoms(use_true_random=False))
def test_the_order_of_documents_changes_nothing(sample: Scored, random: np.random.Generator) -> None:
    score, label, weight = sample
    order = np.arange(len(score))
    random.shuffle(order)
    for figure in (agreement.auc, agreement.average_precision, agreement.precision_at_share, agreement.spearman):
        first = figure(score, label, weight[None])[0]
        assert figure(score[order], label[order], weight[None, order])[0] == pytest.approx(first)


def test_many_weightings_at_once_are_each_what_they_are_alone() -> None:
    random = np.random.default_rng(0)
    score, label = random.random(50), (random.random(50) < 0.3).astype(np.float64)
    weights = random.random((7, 50))
    for figure in (agreement.auc, agreement.average_precision, agreement.precision_at_share, agreement.spearman):
        alone = [figure(score, label, row[None])[0] for row in weights]
        np.testing.assert_allclose(figure(score, label, weights), alone)
