"""Every figure equals scikit-learn's or scipy's, for any weights and ties, and by brute force where they have none."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata, spearmanr
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.metrics import precision_recall_curve as curve_of_scikit_learn

from datashop_assets.statistics import ranking
from datashop_assets.statistics.intervals import Array

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


@few
@given(scored())
def test_auc_is_scikit_learns(sample: Scored) -> None:
    score, label, weight = sample
    assert ranking.auc(score, label, weight[None])[0] == pytest.approx(
        roc_auc_score(label, score, sample_weight=weight)
    )


@few
@given(scored())
def test_average_precision_is_scikit_learns(sample: Scored) -> None:
    score, label, weight = sample
    assert ranking.average_precision(score, label, weight[None])[0] == pytest.approx(
        average_precision_score(label, score, sample_weight=weight)
    )


@few
@given(scored())
def test_a_document_of_weight_three_counts_as_three_documents(sample: Scored) -> None:
    score, _, weight = sample
    times = weight.astype(int)
    other = np.sin(np.arange(len(score)))
    ours = ranking.spearman(score, other, weight[None])[0]
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
    assert ranking.precision_at_share(score, label, np.ones((1, len(score))))[0] == pytest.approx(expected)


@settings(max_examples=20)
@given(scored(), st.randoms(use_true_random=False))
def test_the_order_of_documents_changes_nothing(sample: Scored, random: np.random.Generator) -> None:
    score, label, weight = sample
    order = np.arange(len(score))
    random.shuffle(order)
    for figure in (ranking.auc, ranking.average_precision, ranking.precision_at_share, ranking.spearman):
        first = figure(score, label, weight[None])[0]
        assert figure(score[order], label[order], weight[None, order])[0] == pytest.approx(first, nan_ok=True)


def test_many_weightings_at_once_are_each_what_they_are_alone() -> None:
    random = np.random.default_rng(0)
    score, label = random.random(50), (random.random(50) < 0.3).astype(np.float64)
    weights = random.random((7, 50))
    for figure in (ranking.auc, ranking.average_precision, ranking.precision_at_share, ranking.spearman):
        alone = [figure(score, label, row[None])[0] for row in weights]
        np.testing.assert_allclose(figure(score, label, weights), alone)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4), st.integers(1, 5)), min_size=2, max_size=30))
def test_the_precision_recall_curve_is_scikit_learns(rows: list[tuple[bool, int, int]]) -> None:
    label, score, weight = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    assume(label.any())
    recall, precision = ranking.precision_recall_curve(score, label, weight)
    theirs, found, _ = curve_of_scikit_learn(label, score, sample_weight=weight, drop_intermediate=False)
    np.testing.assert_allclose(recall, found[:-1][::-1])
    np.testing.assert_allclose(precision, theirs[:-1][::-1])


@few
@given(scored())
def test_spearman_without_weights_is_scipys_and_not_defined_for_a_constant(sample: Scored) -> None:
    score, label, _ = sample
    found = ranking.spearman(score, label, np.ones((1, len(score))))[0]
    if len(set(score)) > 1:
        assert found == pytest.approx(spearmanr(score, label).statistic)
    else:
        assert np.isnan(found)


def test_a_resample_in_which_one_side_is_constant_has_no_rank_correlation() -> None:
    score, other = np.array([1.0, 1.0, 2.0]), np.array([1.0, 2.0, 3.0])
    found = ranking.spearman(score, other, np.array([[0.3, 0.7, 0.1], [0.3, 0.7, 0.0]]))
    assert np.isfinite(found).tolist() == [True, False]


def test_ranks_without_weights_mislead_where_the_draw_was_uneven() -> None:
    """40 of 60 documents were drawn from the upper three fifths of the scores, and stand for 11 times fewer each.

    Weights in the correlation alone, with ranks of the draw, give .538; the sample they describe has .591.
    """
    random = np.random.default_rng(352)
    first = np.concatenate([random.uniform(0, 2, 20), random.uniform(2, 5, 40)])
    second, weights = first + 1.6 * random.normal(0, 1, 60), np.repeat([11.0, 1.0], [20, 40])
    times = weights.astype(int)
    whole = spearmanr(np.repeat(first, times), np.repeat(second, times)).statistic
    found = ranking.spearman(first, second, weights[None])[0]
    assert found == pytest.approx(whole)
    assert round(found, 3) == 0.591
    x, y = (rankdata(one) - np.average(rankdata(one), weights=weights) for one in (first, second))
    misled = (weights * x * y).sum() / np.sqrt((weights * x * x).sum() * (weights * y * y).sum())
    assert round(misled, 3) == 0.538
