"""Calibration curves find the truth, refuse nonsense, and are no better on the labels that they were fit on."""

import numpy as np
import pytest

from datashop_assets.encoder.fitting import cut_of, fit_calibration, fit_platt, scores_of_fitted
from datashop_assets.encoder.measures import ScoredSample, measures_of
from datashop_assets.encoder_kinds.trained import IsotonicCurve, PlattCurve
from datashop_assets.prompts.encoder_settings import Calibration
from datashop_assets_tests.encoder.test_measures import drawn


def test_calibration_finds_the_curve_that_labels_were_drawn_from() -> None:
    random = np.random.default_rng(0)
    margins = random.normal(size=50_000) * 3
    truth = PlattCurve(slope=0.7, intercept=-1.0)
    labels = (random.random(50_000) < truth.probability(margins)).astype(np.float64)
    found = fit_platt(margins, labels, np.ones(50_000))
    assert found.slope == pytest.approx(0.7, abs=0.03)
    assert found.intercept == pytest.approx(-1.0, abs=0.05)


def test_calibration_on_shares_finds_the_curve_that_they_lie_on() -> None:
    margins = np.random.default_rng(0).normal(size=50_000) * 3
    truth = PlattCurve(slope=0.7, intercept=-1.0)
    found = fit_platt(margins, truth.probability(margins), np.ones(50_000))
    assert found.slope == pytest.approx(0.7, abs=0.001)
    assert found.intercept == pytest.approx(-1.0, abs=0.001)


def test_calibration_of_separable_labels_stays_finite() -> None:
    found = fit_platt(np.array([-2.0, -1.0, 1.0, 2.0]), np.array([0.0, 0.0, 1.0, 1.0]), np.ones(4))
    assert 0 < found.slope < 10


def test_margins_that_point_the_wrong_way_are_refused() -> None:
    with pytest.raises(ValueError, match="learnt nothing"):
        fit_platt(np.array([2.0, 1.0, -1.0, -2.0]), np.array([0.0, 0.0, 1.0, 1.0]), np.ones(4))


def test_an_isotonic_curve_never_falls_and_finds_steps() -> None:
    random = np.random.default_rng(0)
    margins = random.normal(size=20_000)
    truth = np.where(margins > 0.5, 0.9, 0.1)
    labels = (random.random(20_000) < truth).astype(np.float64)
    found = fit_calibration("isotonic", margins, labels, np.ones(20_000))
    grid = np.linspace(-4, 4, 1_000)
    assert (np.diff(found.probability(grid)) >= 0).all()
    assert np.abs(found.probability(np.array([-2.0, 0.2, 0.8, 2.0])) - [0.1, 0.1, 0.9, 0.9]).max() < 0.03


def test_the_curve_with_the_lower_loss_is_chosen() -> None:
    random = np.random.default_rng(0)
    margins = random.normal(size=5_000)
    steps, curve = np.where(margins > 0.5, 0.9, 0.1), 1 / (1 + np.exp(-margins))
    for truth, kind in ((steps, IsotonicCurve), (curve, PlattCurve)):
        labels = (random.random(5_000) < truth).astype(np.float64)
        assert isinstance(fit_calibration("best", margins, labels, np.ones(5_000)), kind)


@pytest.mark.parametrize("kind", ["platt", "isotonic"])
def test_labels_that_a_curve_was_fit_on_are_not_better_calibrated_than_others(kind: Calibration) -> None:
    said: dict[str, list[float]] = {"own": [], "others": [], "precision": [], "precision of others": []}
    for seed in range(20):
        own, others = drawn(600, seed, 1.0), drawn(20_000, 1000 + seed, 1.0)
        margins, unseen = (np.log(one.score / (1 - one.score)) for one in (own, others))
        curve = fit_calibration(kind, margins, own.label, own.weight)
        for name, sample in (
            ("own", ScoredSample(scores_of_fitted(curve, margins, own.label, own.weight), own.label, own.weight)),
            ("others", ScoredSample(curve.probability(unseen), others.label, others.weight)),
        ):
            found = measures_of(sample, sample.weight[None])
            said[name].append(found["brier"][0])
            said["precision" if name == "own" else "precision of others"].append(found["precision"][0])
    assert np.mean(said["own"]) > np.mean(said["others"]) - 0.003
    assert np.mean(said["precision"]) < np.mean(said["precision of others"]) + 0.01


@pytest.mark.parametrize("kind", ["platt", "isotonic"])
def test_a_curve_survives_being_stored(kind: Calibration) -> None:
    margins = np.linspace(-2, 2, 50)
    found = fit_calibration(kind, margins, (margins > 0.3).astype(np.float64), np.ones(50))
    again = type(found).model_validate_json(found.model_dump_json())
    np.testing.assert_array_equal(again.probability(margins), found.probability(margins))


def test_the_cut_passes_the_share_that_was_asked_for() -> None:
    first, weights = np.array([3.0, 1.0, 2.0, 0.0]), np.array([1.0, 1.0, 1.0, 5.0])
    assert cut_of(first, weights, 0.25) == 2.0
    assert cut_of(first, weights, 0.9) == 0.0
