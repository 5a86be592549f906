"""Tests of a keep rule's thresholds: the best one whose precision, or whose recall, labels show with `1 - delta`.

**One bet for both.** Documents are drawn uniformly without replacement, and each draw has a value from 0 to 1. Over the
population the mean of these values is below `share` exactly where the claim is false:

- precision: the population is what the threshold keeps; a positive is 1, any other document 0.
- recall: the population is all documents; a positive is 1 where it is kept and 0 where it is missed, a negative is
  `share`. So negatives, most of a pool, move nothing.

Bettors on the claim, with stakes of `BETS` sizes, start with the same part of the wealth, which is a supermartingale
while the claim is false. It reaches `1 / delta` with probability at most `delta` (Ville's inequality), so it may be
looked at after every label (Waudby-Smith and Ramdas, Estimating means of bounded random variables by betting, 2024,
section 6: sampling without replacement). For precision there is also an exact hypergeometric test, at a number of
labels that was settled before.

**Many thresholds.** Candidates are tested in an order that was settled before, each at one level, and the sequence ends
at the first that fails: the chance to pass any threshold of which the claim is false stays at most that level, whatever
the truth is and however it rises and falls (fixed-sequence testing: Maurer, Hothorn and Lehmacher, 1995).

Nothing is assumed of the pool: copies, near copies and ties are documents like others, as each is drawn by itself.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from datashop_assets.filtered_pool.results import Trial
from datashop_assets.prompts.keep_settings import CertifiedRule, RecallRule
from datashop_assets.statistics.comparison import at_least, share_p_value

Reals = NDArray[np.float64]
Bools = NDArray[np.bool_]
ClaimKind = Literal["precision", "recall"]
THRESHOLDS = tuple(float(score) for score in np.round(np.arange(0.95, 0.0, -0.05), 2))  # of calibrated scores
LOW_THRESHOLDS = (0.04, 0.03, 0.02, 0.01, 0.005, 0.002, 0.001)  # where positives are rare, recall is settled here
BETS = 10  # bettors, for shares from above `share` to 1
ROUNDING = 1e-12  # of a quotient of logarithms
STEP = 16  # labels asked for together
FROM_P = 0.8  # of `delta`: the level of the sequence that begins at score `p`
FOR_ITS_FIRST = 0.7  # of the labels, at most: the rest is for the other sequence

Label = Callable[[Sequence[int]], Sequence[bool | None]]  # places in the random order -> positive; None: no score


@dataclass(frozen=True)
class Claim:
    """What is to be shown: that precision or recall is at least `share`, with probability `1 - delta`."""

    share: float
    delta: float
    anytime: bool = True
    kind: ClaimKind = "precision"

    @classmethod
    def of(cls, rule: CertifiedRule) -> "Claim":
        if isinstance(rule, RecallRule):
            return cls(rule.recall, rule.delta, kind="recall")
        return cls(rule.precision, rule.delta, rule.design == "anytime")

    @property
    def thresholds(self) -> tuple[float, ...]:
        """As they are tested: for precision the strictest first, for recall the one that keeps most."""
        return THRESHOLDS if self.kind == "precision" else (*LOW_THRESHOLDS[::-1], *THRESHOLDS[::-1])

    @property
    def fewest(self) -> int:
        """Positives without an error that a test of this level needs: 0.9 and a delta of 0.05 need 29."""
        labels = math.log(self.delta) / math.log(self.share)
        return math.ceil(labels * (1 - ROUNDING))  # 0.1 and 0.001 need 3, and the quotient is 3 but for its last digit

    def at(self, part: float) -> "Claim":
        """The same at a part of its level."""
        return replace(self, delta=part * self.delta)

    def draws(self, labels: Reals, kept: Bools) -> Reals:
        """The values of labels [N], which are 1, 0 or NaN for none. What has no label counts against the claim."""
        if self.kind == "precision":
            return np.where(labels == 1, 1.0, 0.0)
        return np.where(labels == 1, kept, np.where(np.isnan(labels) & ~kept, 0.0, self.share))


@dataclass(frozen=True)
class CandidateThreshold:
    """A threshold, how many documents it keeps, and the draws that tell of it."""

    threshold: float
    documents: int
    population: int  # documents that were drawn from: those that it keeps for precision, all for recall
    places: Sequence[int]  # of its draws in the random order, ascending
    kept: Bools  # [draws] whether the threshold keeps the document


def certify(claim: Claim, candidates: Sequence[CandidateThreshold], label: Label, labels: int) -> list[Trial]:
    """Tests the candidates, given in the order of `claim.thresholds`, with at most `labels` labels.

    The last that passed is certified. A candidate with fewer documents than `claim.fewest` is left out, as it could be
    shown by none but all its labels.
    """
    eligible = [one for one in candidates if one.documents >= claim.fewest]
    granted = _GrantedLabels(label, labels)
    if not claim.anytime:
        sizes = iter(fixed_sizes(eligible, labels))
        return in_sequence(eligible, lambda one: _fixed(claim, one, granted, next(sizes)))
    if claim.kind == "recall":
        return in_sequence(eligible, lambda one: _anytime(claim, one, granted))
    stricter = [one for one in eligible if one.threshold > claim.share]
    lower = eligible[len(stricter) :]
    if not (stricter and lower):
        return in_sequence(eligible, lambda one: _anytime(claim, one, granted))
    some = granted.at_most(int(labels * FOR_ITS_FIRST))
    found = in_sequence(lower, lambda one: _anytime(claim.at(FROM_P), one, some if one is lower[0] else granted))
    if not found[0].passed:
        found += in_sequence(stricter, lambda one: _anytime(claim.at(1 - FROM_P), one, granted))
    return found


def in_sequence(candidates: Sequence[CandidateThreshold], test: Callable[[CandidateThreshold], Trial]) -> list[Trial]:
    """Trials up to the first that fails, and with it."""
    found = list[Trial]()
    for candidate in candidates:
        found.append(test(candidate))
        if not found[-1].passed:
            break
    return found


def fixed_sizes(candidates: Sequence[CandidateThreshold], labels: int) -> list[int]:
    """As many labels for every candidate, so that together they need at most `labels`."""
    least, most = 0, labels
    while least < most:
        middle = (least + most + 1) // 2
        needed = {place for one in candidates for place in one.places[:middle]}
        least, most = (middle, most) if len(needed) <= labels else (least, middle - 1)
    return [min(least, len(one.places)) for one in candidates]


def wealth(draws: Reals, population: int, share: float) -> Reals:
    """The bettors' mean wealth after every draw, float64 [draws], from uniform draws without replacement.

    Infinite once the draws sum up to what `share` asks of the whole population.
    """
    drawn = np.arange(len(draws))
    before = np.cumsum(draws) - draws
    expected = (population * share - before) / (population - drawn)  # of the next draw, where the mean is `share`
    bets = np.arange(1, BETS + 1)[:, None] / BETS / share
    bets = np.minimum(bets, 1 / np.maximum(expected, 1e-12))
    gains = np.log(np.maximum(1 + bets * (draws - expected), 0) + 1e-300)
    total = np.logaddexp.reduce(np.cumsum(gains, axis=1), axis=0) - math.log(BETS)
    reached = np.cumsum(draws) >= at_least(population, share)
    return np.asarray(np.where(reached, np.inf, np.exp(np.minimum(total, 700))))


def labels_needed(claim: Claim, trial: Trial) -> int | None:
    """Labels to grant for what a trial saw to be expected to pass at once; None where no number would do.

    The growth of the best bettor's wealth a bet is the divergence of the two shares; its part costs `log(BETS)`. For
    precision every label is a bet, for recall every positive.
    """
    bets = trial.labels if claim.kind == "precision" else trial.positives
    if not bets:
        return None
    won = trial.positives - trial.missed
    q, p = won / bets, claim.share
    if q <= p:
        return None
    growth = q * math.log(q / p) + (0.0 if q >= 1 else (1 - q) * math.log((1 - q) / (1 - p)))
    part, granted = (FROM_P, FOR_ITS_FIRST) if claim.kind == "precision" else (1.0, 1.0)
    needed = (math.log(BETS) - math.log(part * claim.delta)) / growth / granted
    return math.ceil(needed * trial.labels / bets)


@dataclass(frozen=True)
class _GrantedLabels:
    """Labels by place, asked for once, and no more of them than were granted."""

    label: Label
    limit: int
    asked: dict[int, bool | None] = field(default_factory=dict)

    def at_most(self, limit: int) -> "_GrantedLabels":
        """The same labels, of which fewer are granted for now."""
        return replace(self, limit=limit)

    def of(self, places: Sequence[int]) -> Reals:
        """Those of as many of `places`, from the first, as may be asked: 1, 0, or NaN for none."""
        new = [place for place in places if place not in self.asked][: max(self.limit - len(self.asked), 0)]
        self.asked.update(zip(new, self.label(new), strict=True) if new else ())
        known = next((n for n, place in enumerate(places) if place not in self.asked), len(places))
        return np.array([self.asked[place] for place in places[:known]], dtype=np.float64)


def _fixed(claim: Claim, candidate: CandidateThreshold, labels: _GrantedLabels, size: int) -> Trial:
    found = labels.of(candidate.places[:size])
    positives = int((found == 1).sum())
    passed = share_p_value(positives, len(found), candidate.population, claim.share) <= claim.delta
    return _trial(candidate, found, passed)


def _anytime(claim: Claim, candidate: CandidateThreshold, labels: _GrantedLabels) -> Trial:
    size = len(candidate.places)
    for asked in range(STEP, size + STEP, STEP):
        found = labels.of(candidate.places[: min(asked, size)])
        draws = claim.draws(found, candidate.kept[: len(found)])
        grown = np.flatnonzero(wealth(draws, candidate.population, claim.share) >= 1 / claim.delta)
        grown = grown[np.cumsum(found == 1)[grown] > 0]  # without a positive nothing was shown
        if len(grown) or len(found) < asked:
            break
    used = int(grown[0]) + 1 if len(grown) else len(found)
    return _trial(candidate, found[:used], bool(len(grown)))


def _trial(candidate: CandidateThreshold, labels: Reals, passed: bool) -> Trial:
    positive = labels == 1
    return Trial(
        threshold=candidate.threshold,
        documents=candidate.documents,
        labels=len(labels),
        positives=int(positive.sum()),
        missed=int((positive & ~candidate.kept[: len(labels)]).sum()),
        passed=passed,
    )
