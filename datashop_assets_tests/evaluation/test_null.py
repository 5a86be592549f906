"""Where there is no difference, none is found beyond the stated rate. Real models: `acceptance/test_demo.py`."""

import numpy as np
import pytest

from datashop_assets.evaluation.results import Verdict
from datashop_assets.statistics.comparison import fixed_sequence, holm, paired_p_value
from datashop_assets.statistics.figure import LEVEL
from datashop_assets.statistics.intervals import t_interval
from datashop_assets_tests.benchmarks.comparison_power import share_alike

TRIALS = 4000


def differences(seeds: int, measures: int = 1) -> np.ndarray:
    """[TRIALS, seeds, measures]: two models alike but for chance, of a seed and, smaller, of the documents it drew.

    Measures share what the seed does to a model as a whole, as bits on several sources do.
    """
    random = np.random.default_rng(seeds)
    models = [random.normal(0, 0.1, (TRIALS, seeds, 1)) for _ in range(2)]
    return models[1] - models[0] + random.normal(0, 0.08, (TRIALS, seeds, measures))


@pytest.mark.parametrize("seeds", [2, 5])
def test_not_distinguishable_comes_out_at_the_nominal_rate(seeds: int) -> None:
    found = [Verdict.by_interval(t_interval(each[:, 0])) for each in differences(seeds)]
    # three standard errors of a share of 0.95 in 4,000 trials
    assert np.mean([each is Verdict.SAME for each in found]) == pytest.approx(LEVEL, abs=0.0104)


def test_of_many_measures_none_is_called_different_at_the_nominal_rate_or_better() -> None:
    quiet, alone = 0, 0
    for each in differences(5, measures=8)[:1000]:
        p = [paired_p_value(column) or 0.0 for column in each.T]
        quiet += all(Verdict.by_corrected_p(1.0, one) is Verdict.SAME for one in holm(p))
        alone += all(one > 1 - LEVEL for one in p)
    assert quiet / 1000 >= LEVEL - 0.014
    assert alone / 1000 < 0.9  # without the correction


def test_in_a_fixed_sequence_none_is_called_different_at_the_nominal_rate_or_better() -> None:
    """The second measure is tested without a correction of its own, and only after the first."""
    quiet = 0
    for each in differences(5, measures=2)[:1000]:
        p = fixed_sequence([paired_p_value(column) for column in each.T])
        quiet += all(Verdict.by_corrected_p(1.0, one) is Verdict.SAME for one in p)
    assert quiet / 1000 >= LEVEL - 0.014


def test_the_figures_of_a_fixed_sequence_by_hand() -> None:
    assert fixed_sequence([0.01, 0.04, 0.02]) == [0.01, 0.04, 0.04]
    assert fixed_sequence([0.2, 0.001]) == [0.2, 0.2]
    assert fixed_sequence([0.01, None, 0.02]) == [0.01, None, None]


def test_holms_figures_by_hand() -> None:
    # 0.01 x 4, 0.02 x 3, then no less than before: 0.03 x 2, 0.04 x 1
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_sets_of_seeds_that_are_alike_are_called_so_at_the_nominal_rate() -> None:
    """As `benchmarks.comparison_power --alike` counts it for real controls; sets share seeds, so only on average."""
    random = np.random.default_rng(5)
    shares = [share_alike(random.normal(4, 0.1, 40), 2000) for _ in range(20)]
    assert np.mean(shares) == pytest.approx(LEVEL, abs=0.01)
    different = np.concatenate([random.normal(4, 0.1, 5), random.normal(5, 0.1, 5)])
    assert share_alike(different, 2000) < 1
