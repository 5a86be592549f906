"""Tests of hypotheses against scipy's, and by what they promise."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from datashop_assets.statistics.comparison import at_least, holm, paired_p_value, share_p_value, visible_difference
from datashop_assets.statistics.intervals import t_interval

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def test_p_of_pairs_is_that_of_a_paired_t_test() -> None:
    random = np.random.default_rng(3)
    control, trained = random.normal(3, 0.1, 5), random.normal(2.95, 0.1, 5)
    assert paired_p_value(trained - control) == pytest.approx(stats.ttest_rel(trained, control).pvalue)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=8), st.sampled_from([0.0, 0.05]))
def test_p_is_below_one_in_twenty_where_the_interval_leaves_zero_out(values: list[float], grain: float) -> None:
    differences = np.array(values)
    figure, p = t_interval(differences, grain), paired_p_value(differences, grain)
    assert p is not None
    assert figure.low is not None
    assert figure.high is not None
    nearest = min(abs(figure.low), abs(figure.high))
    if nearest > 1e-12:
        assert (p < 0.05) == (figure.low > 0 or figure.high < 0)


def test_seeds_that_are_all_alike_have_a_p_and_a_single_one_has_none() -> None:
    assert paired_p_value(np.array([0.0, 0.0])) == 1.0
    assert paired_p_value(np.array([0.1, 0.1])) == 0.0
    assert paired_p_value(np.array([0.1])) is None


def test_what_sums_leave_in_their_last_digits_is_no_difference() -> None:
    left_over = 0.1 + 0.2 - 0.3
    assert left_over != 0
    assert paired_p_value(np.array([left_over, left_over, left_over])) == 1.0


def test_holm_by_hand() -> None:
    # sorted .005, .01, .03, .04, times 4, 3, 2, 1, and never below the one before
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(P_VALUES)
def test_holm_never_lowers_a_p_keeps_their_order_and_stays_below_bonferroni(p: list[float]) -> None:
    corrected = holm(p)
    for one, other in zip(p, corrected, strict=True):
        assert one <= other <= min(1.0, len(p) * one)
    assert [corrected[place] for place in np.argsort(p, kind="stable")] == sorted(corrected)


def test_holm_calls_seldom_any_of_true_nulls_a_difference() -> None:
    random = np.random.default_rng(0)
    called = [min(holm(random.random(10).tolist())) <= 0.05 for _ in range(2000)]
    assert np.mean(called) == pytest.approx(0.05, abs=0.02)


@given(st.integers(1, 60), st.integers(1, 200), st.floats(0.05, 0.99))
def test_a_share_is_tested_by_fishers_exact_hypergeometric_tail(labels: int, documents: int, share: float) -> None:
    labels = min(labels, documents)
    below = at_least(documents, share) - 1
    for positives in {0, labels // 2, labels}:
        tail = sum(stats.hypergeom.pmf(k, documents, below, labels) for k in range(positives, labels + 1))
        assert share_p_value(positives, labels, documents, share) == pytest.approx(tail, abs=1e-9)


@given(st.integers(1, 1000), st.integers(1, 10_000))
def test_a_share_of_documents_counts_as_it_is_written(thousandths: int, documents: int) -> None:
    assert at_least(documents, thousandths / 1000) == -(-documents * thousandths // 1000)


@pytest.mark.parametrize(("seeds", "visible"), [(2, 11.55), (3, 3.264), (5, 1.682), (10, 0.9960), (40, 0.4543)])
def test_a_visible_difference_is_found_with_the_stated_chance(seeds: int, visible: float) -> None:
    """Figures by `scipy.optimize.brentq` on the power by `scipy.stats.nct`, which is computed again here."""
    found = visible_difference(1.0, seeds)
    assert found == pytest.approx(visible, rel=1e-3)
    needed = stats.t.ppf(0.975, seeds - 1)
    assert stats.nct.sf(needed, seeds - 1, found * seeds**0.5) == pytest.approx(0.8, abs=1e-4)
    assert visible_difference(0.25, seeds) == pytest.approx(found / 4)


def test_a_visible_difference_is_found_that_often_by_the_test_itself() -> None:
    random = np.random.default_rng(0)
    drawn = random.normal(visible_difference(0.05, 5), 0.05, (4000, 5))
    found = [(paired_p_value(each) or 0.0) < 0.05 for each in drawn]
    assert np.mean(found) == pytest.approx(0.8, abs=0.02)


def test_one_seed_sees_nothing() -> None:
    assert visible_difference(0.05, 1) == math.inf
