"""Summaries: intervals that cover the truth, reliability that adds up, and silence where there is too little."""

import json

import numpy as np
import polars as pl
import pytest

from datashop_assets.encoder.calibration import (
    Calibration,
    IsotonicCalibration,
    fit_calibration,
    fit_platt,
    from_json,
    of_labelled,
    to_json,
)
from datashop_assets.encoder.describe import errors
from datashop_assets.encoder.metrics import Sample, measures, reliability, summary, with_intervals
from datashop_assets.encoder.reading import errors_to_read


def drawn(documents: int, seed: int, shift: float = 2.0) -> Sample:
    """Scores whose log-odds are normal, one apart for each class by `shift`: the true AUC is that of d-prime."""
    random = np.random.default_rng(seed)
    label = (random.random(documents) < 0.3).astype(np.float64)
    margin = random.normal(size=documents) + shift * label
    return Sample(1 / (1 + np.exp(-margin)), label, np.ones(documents), {"length": random.random(documents)})


def test_auc_intervals_cover_the_true_auc_about_as_often_as_they_say() -> None:
    truth = 0.92135  # of two normals two apart: Phi(2 / sqrt(2))
    covered = 0
    for seed in range(30):
        auc = with_intervals(measures, drawn(200, seed), seed)["auc"]
        assert auc.low is not None
        assert auc.high is not None
        covered += auc.low <= truth <= auc.high
    assert 24 <= covered <= 30


def test_the_same_seed_gives_the_same_intervals() -> None:
    assert summary(drawn(100, 0), seed=3) == summary(drawn(100, 0), seed=3)


def test_importance_weights_undo_an_uneven_draw() -> None:
    whole = drawn(20_000, 1)
    random = np.random.default_rng(2)
    probability = np.where(whole.score > 0.5, 0.9, 0.1)
    some = whole.take(random.random(20_000) < probability)
    weighed = Sample(some.score, some.label, 1 / np.where(some.score > 0.5, 0.9, 0.1), some.baselines)
    for name in ("precision", "recall", "auc"):
        one = {key: value[0] for key, value in measures(whole, whole.weight[None]).items()}[name]
        assert measures(weighed, weighed.weight[None])[name][0] == pytest.approx(one, abs=0.02)


def test_reliability_bins_hold_every_document_and_observe_what_was_predicted() -> None:
    random = np.random.default_rng(0)
    score = random.random(4_000)
    honest = Sample(score, (random.random(4_000) < score).astype(np.float64), np.ones(4_000))
    bins = summary(honest)["reliability"]
    assert sum(one["documents"] for one in bins) == 4_000
    for one in bins:
        assert one["from"] <= one["predicted"] <= one["to"]
        assert one["observed"]["value"] == pytest.approx(one["predicted"], abs=0.08)


def test_a_bin_of_three_documents_claims_no_certainty() -> None:
    few = Sample(np.full(3, 0.65), np.ones(3), np.ones(3))
    [one] = reliability(few)
    assert one["observed"]["value"] == one["observed"]["high"] == 1.0
    assert one["observed"]["low"] == pytest.approx(0.439, abs=0.001)  # Wilson, three of three


def test_confusion_counts_add_up() -> None:
    found = summary(drawn(300, 0))
    assert sum(found["confusion"].values()) == found["documents"]
    assert found["confusion"]["true_positives"] + found["confusion"]["false_negatives"] == found["positives"]


def test_too_few_positives_give_counts_and_no_figures() -> None:
    sample = drawn(300, 0)
    four = np.flatnonzero(sample.label == 1)[:4].tolist() + np.flatnonzero(sample.label == 0).tolist()
    chosen = np.zeros(300, dtype=bool)
    chosen[four] = True
    found = summary(sample.take(chosen))
    assert found["positives"] == 4
    assert found["metrics"] == {}
    assert "fewer than 5" in found["note"]


def test_every_resample_holds_both_classes() -> None:
    rare = Sample(np.linspace(0, 1, 30), np.array([1.0] + [0.0] * 29), np.ones(30))
    seen = []

    def noted(sample: Sample, weights: np.ndarray) -> dict[str, np.ndarray]:
        seen.append(weights)
        return {"total": weights.sum(axis=1)}

    with_intervals(noted, rare, 0)
    weights = np.concatenate(seen[1:])
    assert (weights[:, 0] > 0).all()
    assert 500 < len(weights) < 800  # a resample misses one of 30 documents with probability 0.36


def test_calibration_finds_the_curve_that_labels_were_drawn_from() -> None:
    random = np.random.default_rng(0)
    margins = random.normal(size=50_000) * 3
    truth = Calibration(0.7, -1.0)
    labels = (random.random(50_000) < truth.probability(margins)).astype(np.float64)
    found = fit_platt(margins, labels, np.ones(50_000))
    assert found.slope == pytest.approx(0.7, abs=0.03)
    assert found.intercept == pytest.approx(-1.0, abs=0.05)


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
    for truth, kind in ((steps, IsotonicCalibration), (curve, Calibration)):
        labels = (random.random(5_000) < truth).astype(np.float64)
        assert isinstance(fit_calibration("best", margins, labels, np.ones(5_000)), kind)


@pytest.mark.parametrize("kind", ["platt", "isotonic"])
def test_labels_that_a_curve_was_fit_on_are_not_better_calibrated_than_others(kind: str) -> None:
    said: dict[str, list[float]] = {"own": [], "others": [], "precision": [], "precision of others": []}
    for seed in range(20):
        own, others = drawn(600, seed, 1.0), drawn(20_000, 1000 + seed, 1.0)
        margins, unseen = (np.log(one.score / (1 - one.score)) for one in (own, others))
        curve = fit_calibration(kind, margins, own.label, own.weight)
        for name, sample in (
            ("own", Sample(of_labelled(curve, margins, own.label, own.weight), own.label, own.weight)),
            ("others", Sample(curve.probability(unseen), others.label, others.weight)),
        ):
            found = measures(sample, sample.weight[None])
            said[name].append(found["brier"][0])
            said["precision" if name == "own" else "precision of others"].append(found["precision"][0])
    assert np.mean(said["own"]) > np.mean(said["others"]) - 0.003
    assert np.mean(said["precision"]) < np.mean(said["precision of others"]) + 0.01


def test_documents_are_ranked_by_margin_where_there_is_one() -> None:
    sample = drawn(300, 0)
    steps = Sample(np.round(sample.score), sample.label, sample.weight, margin=np.log(sample.score))
    found, plain = (measures(one, one.weight[None]) for one in (steps, sample))
    for name in ("auc", "average_precision", "precision_at_share"):
        assert found[name] == plain[name]
    half = steps.take(np.arange(300) < 150)
    assert half.margin is not None
    assert len(half.margin) == 150


@pytest.mark.parametrize("kind", ["platt", "isotonic"])
def test_a_curve_survives_being_stored(kind: str) -> None:
    margins = np.linspace(-2, 2, 50)
    found = fit_calibration(kind, margins, (margins > 0.3).astype(np.float64), np.ones(50))
    again = from_json(json.loads(json.dumps(to_json(found))))
    np.testing.assert_array_equal(again.probability(margins), found.probability(margins))


def test_the_errors_to_read_are_the_surest_ones() -> None:
    rows = pl.DataFrame({"id": list("abcd"), "source": ["s"] * 4, "text": ["<b>", "y" * 999, "z", "w"]}).with_columns(
        label=pl.Series([0, 0, 1, 1]), expected_score=pl.Series([1.0, 1.0, 4.0, 4.0])
    )
    found = errors_to_read(rows, np.array([0.6, 0.9, 0.2, 0.8]))
    assert [one["id"] for one in found["false_positives"]] == ["b", "a"]
    assert [one["id"] for one in found["false_negatives"]] == ["c"]
    assert len(found["false_positives"][0]["text"]) == 300
    assert "<b>" not in errors(found["false_positives"])
