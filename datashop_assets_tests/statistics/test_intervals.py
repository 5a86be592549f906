"""Intervals equal scipy's where scipy has them, and cover what they say they cover."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from datashop_assets.statistics import intervals
from datashop_assets.statistics.figure import Figure
from datashop_assets.statistics.intervals import (
    Array,
    Draws,
    bootstrap,
    correlation_by_chance,
    counted,
    effective_size,
    exact_interval,
    spread_of,
    t_interval,
    wilson,
)


def ends(figure: Figure | None) -> tuple[float, float]:
    assert figure is not None
    assert figure.low is not None
    assert figure.high is not None
    return figure.low, figure.high


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=20))
def test_the_t_interval_is_scipys(values: list[float]) -> None:
    sample = np.array(values)
    low, high = stats.t.interval(0.95, len(values) - 1, loc=sample.mean(), scale=max(stats.sem(sample), 1e-300))
    assert ends(t_interval(values)) == pytest.approx((low, high), abs=1e-9)


@pytest.mark.parametrize("seeds", [2, 5, 12])
def test_the_spread_follows_from_an_interval_and_how_many_values_it_is_over(seeds: int) -> None:
    values = np.random.default_rng(seeds).normal(-0.2, 0.05, seeds)
    assert spread_of(t_interval(values)) == pytest.approx(values.std(ddof=1))
    assert spread_of(Figure(value=0.1, n=1)) is None


def test_the_t_interval_of_pairs_is_that_of_a_paired_t_test() -> None:
    random = np.random.default_rng(3)
    control, trained = random.normal(3, 0.1, 5), random.normal(2.9, 0.1, 5)
    wanted = stats.ttest_rel(trained, control).confidence_interval(0.95)
    assert ends(t_interval(trained - control)) == pytest.approx((wanted.low, wanted.high))


def test_three_seeds_computed_by_hand() -> None:
    # mean -0.2, standard deviation 0.1, 0.1 / sqrt(3) = 0.057735, t of 2 degrees of freedom at 97.5%: 4.302653
    found = t_interval(np.array([-0.1, -0.2, -0.3]), unit="seeds")
    assert found.value == pytest.approx(-0.2)
    assert ends(found) == pytest.approx((-0.2 - 0.248414, -0.2 + 0.248414), abs=1e-6)
    assert (found.n, found.unit) == (3, "seeds")


def test_one_value_has_no_interval() -> None:
    assert t_interval([3.0]) == Figure(value=3.0, n=1)


def test_no_spread_is_believed_that_is_below_the_grain() -> None:
    low, high = ends(t_interval([0.1, 0.1], grain=0.05))
    assert (high - low) / 2 == pytest.approx(stats.t.ppf(0.975, 1) * 0.05 / 12**0.5 / 2**0.5)


@given(st.integers(0, 200), st.integers(1, 200))
def test_wilsons_interval_of_counts_is_scipys(positives: int, count: int) -> None:
    positives = min(positives, count)
    wanted = stats.binomtest(positives, count).proportion_ci(method="wilson")
    assert ends(wilson(positives / count, count)) == pytest.approx((wanted.low, wanted.high), abs=1e-12)


def test_the_quantile_of_a_normal_distribution_is_scipys() -> None:
    assert pytest.approx(stats.norm.ppf(0.975)) == intervals.Z


@given(st.integers(1, 50), st.floats(0.01, 100))
def test_equal_weights_are_worth_as_many_documents_as_there_are(count: int, weight: float) -> None:
    assert effective_size(np.full(count, weight)) == pytest.approx(count)


def test_a_document_that_weighs_as_much_as_all_others_leaves_few() -> None:
    assert effective_size(np.array([100.0] + [1.0] * 100)) == pytest.approx(200**2 / 10_100)


def test_a_rank_correlation_by_chance_stays_below_what_is_said() -> None:
    random, reach = np.random.default_rng(0), correlation_by_chance(40)
    found = [abs(stats.spearmanr(*random.random((2, 40))).statistic) for _ in range(400)]
    assert 0.9 < np.mean(np.array(found) <= reach) < 0.99


@pytest.mark.parametrize("draws", ["counts", "indices"])
def test_a_bootstrap_of_a_mean_is_as_wide_as_theory_says(draws: str) -> None:
    values = np.random.default_rng(1).normal(5, 2, 400)

    def mean(drawn: Draws) -> dict[str, Array]:
        return {"mean": values[drawn].mean(axis=1) if draws == "indices" else drawn @ values / 400}

    found = bootstrap(mean, 400, draws=draws)["mean"]  # type: ignore[arg-type]
    low, high = ends(found)
    assert found is not None
    assert found.value == pytest.approx(values.mean())
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)
    assert (found.n, found.unit) == (400, "documents")


def test_a_bootstrap_is_scipys_on_the_same_stream() -> None:
    values = np.random.default_rng(2).exponential(size=50)
    found = bootstrap(lambda drawn: {"mean": values[drawn].mean(axis=1)}, 50, draws="indices", seed=7)["mean"]
    wanted = stats.bootstrap(
        (values,), np.mean, n_resamples=1000, method="percentile", rng=np.random.default_rng(7)
    ).confidence_interval
    assert ends(found) == pytest.approx((wanted.low, wanted.high))


def test_blocks_change_no_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(2).exponential(size=50)

    def sums(drawn: Draws) -> dict[str, Array]:
        return {"sum": (drawn @ values).astype(np.float64)}

    once = [bootstrap(sums, 50, draws=draws) for draws in ("counts", "indices")]  # type: ignore[arg-type]
    monkeypatch.setattr(intervals, "BLOCK", 350)  # seven resamples at a time
    assert [bootstrap(sums, 50, draws=draws) for draws in ("counts", "indices")] == once  # type: ignore[arg-type]


def test_the_streams_are_those_that_stored_outputs_were_made_with() -> None:
    """Golden: of the first releases' encoder (counts) and comparison (indices), seed 0."""
    values = np.arange(8.0) ** 2
    counts = bootstrap(lambda drawn: {"mean": drawn @ values / 8}, 8)["mean"]
    indices = bootstrap(lambda drawn: {"mean": values[drawn].mean(axis=1)}, 8, draws="indices")["mean"]
    random = np.random.default_rng(0)
    by_counts = [random.multinomial(8, np.full(8, 1 / 8)) @ values / 8 for _ in range(1000)]
    random = np.random.default_rng(0)
    by_indices = [values[random.integers(0, 8, 8)].mean() for _ in range(1000)]
    assert ends(counts) == tuple(np.percentile(by_counts, [2.5, 97.5]))
    assert ends(indices) == tuple(np.percentile(by_indices, [2.5, 97.5]))


def test_resamples_that_are_not_accepted_and_values_that_are_no_numbers_are_left_out() -> None:
    seen: list[Draws] = []

    def share(drawn: Draws) -> dict[str, Array]:
        seen.append(drawn)
        ones = drawn[:, 0] / drawn.sum(axis=1)
        return {"share": ones, "never": np.full(len(drawn), np.nan), "seldom": np.where(ones > 0.5, np.nan, ones)}

    found = bootstrap(share, 3, accepted=lambda drawn: drawn[:, 0] > 0)
    assert (np.concatenate(seen[1:])[:, 0] > 0).all()
    assert found["never"] is None
    assert ends(found["share"])[0] >= 1 / 3
    assert ends(found["seldom"])[1] <= 0.5


@given(st.integers(1, 9), st.integers(1, 5))
def test_counted_draws_hold_every_index(size: int, rows: int) -> None:
    drawn = np.random.default_rng(size).integers(0, size, (rows, size))
    found = counted(drawn, size)
    assert found.shape == (rows, size)
    for row, counts in zip(drawn, found, strict=True):
        np.testing.assert_array_equal(np.repeat(np.arange(size), counts), np.sort(row))


@pytest.mark.parametrize(("count", "size", "level"), [(0, 8, 0.95), (8, 8, 0.95), (8, 10, 0.95), (37, 90, 0.999)])
def test_an_exact_interval_is_scipys(count: int, size: int, level: float) -> None:
    reference = stats.binomtest(count, size).proportion_ci(level, method="exact")
    assert exact_interval(count, size, level) == pytest.approx((reference.low, reference.high))
