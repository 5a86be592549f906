"""Every figure of a scored sample, each with a bootstrap interval over documents.

Figures are weighted by importance, so they describe the sample that the documents were drawn from. Draws that miss one
of the two classes are left out of the intervals.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from datashop_assets.encoder.fitting import FEWEST
from datashop_assets.encoder.results import (
    Baseline,
    BaselineFigures,
    Confusion,
    ReliabilityBin,
    ScoreFigures,
    Summary,
    SummaryBySource,
)
from datashop_assets.statistics import agreement, ranking
from datashop_assets.statistics.figure import Figure
from datashop_assets.statistics.intervals import ROUNDED_Z, Array, Draws, bootstrap, effective_size, wilson

BINS = np.linspace(0.0, 1.0, 11)
Measures = dict[str, Array]  # name -> [R]


@dataclass(frozen=True)
class ScoredSample:
    """Scored documents with a label, all arrays [documents] float64.

    Taken for positive is what has a score of `positive_at` or more.
    """

    score: Array
    label: Array  # 0 or 1
    weight: Array
    baselines: Mapping[Baseline, Array] = field(default_factory=dict)  # their scores
    expected: Array | None = None  # the annotator's expected score, where there is one
    margin: Array | None = None  # what documents are ranked by, where that is not the score
    learnt: Array | None = None  # what the score should be, where that is not the label
    positive_at: float = 0.5

    def take(self, chosen: NDArray[np.bool_]) -> "ScoredSample":
        expected, margin, learnt = (
            None if one is None else one[chosen] for one in (self.expected, self.margin, self.learnt)
        )
        return ScoredSample(
            self.score[chosen],
            self.label[chosen],
            self.weight[chosen],
            {name: scores[chosen] for name, scores in self.baselines.items()},
            expected,
            margin,
            learnt,
            self.positive_at,
        )

    @property
    def rank(self) -> Array:
        return self.score if self.margin is None else self.margin

    @property
    def target(self) -> Array:
        return self.label if self.learnt is None else self.learnt

    @property
    def fewest(self) -> int:
        """How many documents the rarer class has."""
        positives = int(self.label.sum())
        return min(positives, len(self.label) - positives)


def by_source(sample: ScoredSample, sources: Sequence[str], without_gold: int = 0) -> SummaryBySource:
    """A summary of all documents, and of each source by itself."""
    place = np.array(sources)
    within = {str(source): summarize(sample.take(place == source)) for source in np.unique(place)}
    return SummaryBySource(all=summarize(sample), within=within, without_gold=without_gold)


def summarize(sample: ScoredSample, seed: int = 0) -> Summary:
    """All figures of a sample; none of those that set classes apart where one has fewer than `FEWEST` documents."""
    documents, positives = len(sample.label), int(sample.label.sum())
    if sample.fewest < FEWEST:
        known = documents >= FEWEST and sample.expected is not None
        against_scores = with_intervals(score_measures, sample, seed) if known else {}
        return Summary(
            documents=documents,
            positives=positives,
            note=f"fewer than {FEWEST} documents of one class",
            spearman=against_scores.get("spearman"),
            bias=against_scores.get("bias"),
            reliability=reliability(sample) if documents >= FEWEST else (),
        )
    # one bootstrap for all of them, since a difference between two is a figure too
    found = with_intervals(all_measures, sample, seed)
    spearman, bias = found.pop("spearman", None), found.pop("bias", None)
    parts: dict[str, dict[str, Figure]] = {}
    for name, figure in found.items():
        who, _, measure = name.rpartition(".")
        parts.setdefault(who, {})[measure] = figure
    return Summary(
        documents=documents,
        positives=positives,
        spearman=spearman,
        bias=bias,
        figures=ScoreFigures(**parts.pop("")),
        baselines={name: BaselineFigures(**parts[name]) for name in sample.baselines},
        confusion=confusion(sample),
        reliability=reliability(sample),
    )


def all_measures(sample: ScoredSample, weights: Array) -> Measures:
    """Every figure for weights [R, documents]: of the encoder by its name, of a baseline as `length.auc`."""
    own = measures_of(sample, weights)
    for name, scores in sample.baselines.items():
        beside = ranking_measures(sample, scores, scores, weights)
        beside["auc_exceeded_by"] = own["auc"] - beside["auc"]
        own |= {f"{name}.{measure}": values for measure, values in beside.items()}
    return own


def measures_of(sample: ScoredSample, weights: Array) -> Measures:
    """The figures of the encoder alone."""
    precision, recall, _ = agreement.precision_recall_f1(sample.score, sample.label, weights, sample.positive_at)
    return {
        **ranking_measures(sample, sample.score, sample.rank, weights),
        "precision": precision,
        "recall": recall,
        "precision_at_share": ranking.precision_at_share(sample.rank, sample.label, weights),
        "brier": agreement.brier(sample.score, sample.target, weights),
        **({} if sample.expected is None else score_measures(sample, weights)),
    }


def ranking_measures(sample: ScoredSample, score: Array, rank: Array, weights: Array) -> Measures:
    """The figures that an encoder and its baselines have in common, for scores and ranks [documents]."""
    found = {
        "auc": ranking.auc(rank, sample.label, weights),
        "average_precision": ranking.average_precision(rank, sample.label, weights),
        "f1": agreement.precision_recall_f1(score, sample.label, weights, sample.positive_at)[2],
        "macro_f1": agreement.macro_f1(score, sample.label, weights, sample.positive_at),
    }
    if sample.expected is not None:
        # what has one value for all says nothing of the order
        found["spearman"] = np.nan_to_num(ranking.spearman(rank, sample.expected, weights))
    return found


def score_measures(sample: ScoredSample, weights: Array) -> Measures:
    """The figures of the encoder that need the annotator's scores and no classes."""
    assert sample.expected is not None
    correlation = np.nan_to_num(ranking.spearman(sample.rank, sample.expected, weights))
    return {
        "spearman": correlation,
        "bias": ranking.ratio(weights @ (sample.score - sample.target), weights.sum(axis=1)),
    }


def with_intervals(
    measures: Callable[[ScoredSample, Array], Measures], sample: ScoredSample, seed: int
) -> dict[str, Figure]:
    """Each figure of `measures` with its bootstrap interval over documents; of two classes where the sample has two."""

    def of_both_classes(counts: Draws) -> NDArray[np.bool_]:
        positives = counts @ sample.label
        return np.asarray((positives > 0) & (positives < len(sample.label)))

    found = bootstrap(
        lambda counts: measures(sample, counts * sample.weight),
        len(sample.label),
        accepted=of_both_classes if sample.fewest else None,
        seed=seed,
    )
    return {name: figure for name, figure in found.items() if figure is not None}


def confusion(sample: ScoredSample) -> Confusion:
    kept, label = sample.score >= sample.positive_at, sample.label == 1
    return Confusion(
        true_positives=int((kept & label).sum()),
        false_positives=int((kept & ~label).sum()),
        false_negatives=int((~kept & label).sum()),
        true_negatives=int((~kept & ~label).sum()),
    )


def reliability(sample: ScoredSample) -> tuple[ReliabilityBin, ...]:
    """Ten bins of scores, each with the mean target observed in it. Empty bins are left out.

    The mean has Wilson's interval, for as many documents as the weights are worth: a resample of three documents that
    are all positive would say that nothing is uncertain. Of targets between 0 and 1 the interval is at least as wide as
    it need be, for no mean of such numbers varies more than a share does.
    """
    place = np.clip(np.digitize(sample.score, BINS) - 1, 0, len(BINS) - 2)
    bins = []
    for number in np.unique(place):
        inside = sample.take(place == number)
        share = float(np.average(inside.target, weights=inside.weight))
        bins.append(
            ReliabilityBin(
                low=float(BINS[number]),
                high=float(BINS[number + 1]),
                documents=len(inside.label),
                predicted=float(np.average(inside.score, weights=inside.weight)),
                observed=wilson(share, effective_size(inside.weight), ROUNDED_Z),
            )
        )
    return tuple(bins)
