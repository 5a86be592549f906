"""Summaries: intervals that cover the truth, reliability that adds up, and silence where there is too little."""

import numpy as np
import pytest

from datashop_assets.encoder.measures import ScoredSample, measures_of, reliability, summarize, with_intervals


def drawn(documents: int, seed: int, shift: float = 2.0) -> ScoredSample:
    """Scores whose log-odds are normal, one apart for each class by `shift`: the true AUC is that of d-prime."""
    random = np.random.default_rng(seed)
    label = (random.random(documents) < 0.3).astype(np.float64)
    margin = random.normal(size=documents) + shift * label
    return ScoredSample(1 / (1 + np.exp(-margin)), label, np.ones(documents), {"length": random.random(documents)})


def test_auc_intervals_cover_the_true_auc_about_as_often_as_they_say() -> None:
    truth = 0.92135  # of two normals two apart: Phi(2 / sqrt(2))
    covered = 0
    for seed in range(30):
        auc = with_intervals(measures_of, drawn(200, seed), seed)["auc"]
        assert auc.low is not None
        assert auc.high is not None
        covered += auc.low <= truth <= auc.high
    assert 24 <= covered <= 30


def test_the_same_seed_gives_the_same_intervals() -> None:
    assert summarize(drawn(100, 0), seed=3) == summarize(drawn(100, 0), seed=3)


def test_importance_weights_undo_an_uneven_draw() -> None:
    whole = drawn(20_000, 1)
    random = np.random.default_rng(2)
    probability = np.where(whole.score > 0.5, 0.9, 0.1)
    some = whole.take(random.random(20_000) < probability)
    weighed = ScoredSample(some.score, some.label, 1 / np.where(some.score > 0.5, 0.9, 0.1), some.baselines)
    for name in ("precision", "recall", "auc"):
        one = {key: value[0] for key, value in measures_of(whole, whole.weight[None]).items()}[name]
        assert measures_of(weighed, weighed.weight[None])[name][0] == pytest.approx(one, abs=0.02)


def test_reliability_bins_hold_every_document_and_observe_what_was_predicted() -> None:
    random = np.random.default_rng(0)
    score = random.random(4_000)
    honest = ScoredSample(score, (random.random(4_000) < score).astype(np.float64), np.ones(4_000))
    bins = summarize(honest).reliability
    assert sum(one.documents for one in bins) == 4_000
    for one in bins:
        assert one.low <= one.predicted <= one.high
        assert one.observed.value == pytest.approx(one.predicted, abs=0.08)


def test_a_bin_of_three_documents_claims_no_certainty() -> None:
    few = ScoredSample(np.full(3, 0.65), np.ones(3), np.ones(3))
    [one] = reliability(few)
    assert one.observed.value == one.observed.high == 1.0
    assert one.observed.low == pytest.approx(0.439, abs=0.001)  # Wilson, three of three


def test_confusion_counts_add_up() -> None:
    found = summarize(drawn(300, 0))
    assert found.confusion is not None
    assert sum(found.confusion.model_dump().values()) == found.documents
    assert found.confusion.true_positives + found.confusion.false_negatives == found.positives


def test_too_few_positives_give_counts_and_no_figures() -> None:
    sample = drawn(300, 0)
    four = np.flatnonzero(sample.label == 1)[:4].tolist() + np.flatnonzero(sample.label == 0).tolist()
    chosen = np.zeros(300, dtype=bool)
    chosen[four] = True
    found = summarize(sample.take(chosen))
    assert found.positives == 4
    assert found.figures is None
    assert "fewer than 5" in found.note


def test_too_few_positives_leave_the_rank_correlation_and_the_reliability() -> None:
    expected = np.linspace(0, 2, 100)
    sample = ScoredSample(expected / 5, np.zeros(100), np.ones(100), expected=expected, learnt=expected / 5)
    found = summarize(sample)
    assert found.figures is None
    assert found.spearman is not None
    assert found.spearman.value == pytest.approx(1.0)
    for one in found.reliability:
        assert one.observed.value == pytest.approx(one.predicted)


def test_a_side_is_taken_at_the_score_that_is_named() -> None:
    score, label = np.array([0.1, 0.3, 0.5, 0.7]), np.array([0.0, 1.0, 1.0, 1.0])
    at = {
        name: measures_of(ScoredSample(score, label, np.ones(4), positive_at=name), np.ones((1, 4)))["recall"][0]
        for name in (0.25, 0.5)
    }
    assert at == {0.25: 1.0, 0.5: pytest.approx(2 / 3)}


def test_every_resample_holds_both_classes() -> None:
    rare = ScoredSample(np.linspace(0, 1, 30), np.array([1.0] + [0.0] * 29), np.ones(30))
    seen = []

    def noted(sample: ScoredSample, weights: np.ndarray) -> dict[str, np.ndarray]:
        seen.append(weights)
        return {"total": weights.sum(axis=1)}

    with_intervals(noted, rare, 0)
    weights = np.concatenate(seen[1:])
    assert (weights[:, 0] > 0).all()
    assert 500 < len(weights) < 800  # a resample misses one of 30 documents with probability 0.36


def test_documents_are_ranked_by_margin_where_there_is_one() -> None:
    sample = drawn(300, 0)
    steps = ScoredSample(np.round(sample.score), sample.label, sample.weight, margin=np.log(sample.score))
    found, plain = (measures_of(one, one.weight[None]) for one in (steps, sample))
    for name in ("auc", "average_precision", "precision_at_share"):
        assert found[name] == plain[name]
    half = steps.take(np.arange(300) < 150)
    assert half.margin is not None
    assert len(half.margin) == 150
