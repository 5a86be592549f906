"""The lowest threshold whose precision is certified: at least `p` with probability `1 - delta`, from few labels.

Candidates are tested in an order that was settled before, each at one level, and the sequence ends at the first that
fails: the chance to pass any threshold whose precision is below `p` stays at most that level, whatever the precisions
are and however they rise and fall (fixed-sequence testing: Maurer, Hothorn and Lehmacher, 1995). The labels of a
candidate are the first in one random order of the pool, among the documents that it keeps: uniform draws without
replacement.

`fixed`: an exact hypergeometric test at a number of labels that was settled before, from the strictest candidate down,
at level `delta`. `anytime`: a betting test that may be looked at after every label, so that labels may be added after a
refusal (Waudby-Smith and Ramdas, Estimating means of bounded random variables by betting, 2024, section 6: sampling
without replacement). A bettor of every precision in `BETS` starts with the same share; their wealth is a martingale at
most while precision is below `p`, so that it reaches `1 / delta` with probability at most `delta` (Ville's inequality).
It goes through two sequences, whose levels add up to `delta`: from score `p` down, where a calibrated score promises
that precision is enough, and, if already the first of these fails, from the strictest down to there.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from datashop_assets.statistics.comparison import share_p_value

Reals = NDArray[np.float64]
Bools = NDArray[np.bool_]
BETS = 10  # bettors, for precisions from halfway above `p` to 1
STEP = 16  # labels asked for together
FROM_P = 0.8  # of `delta`: the level of the sequence that begins at score `p`
FOR_ITS_FIRST = 0.7  # of the labels, at most: the rest is for the other sequence


@dataclass(frozen=True)
class Claim:
    """What is to be shown."""

    precision: float
    delta: float
    anytime: bool = True

    @property
    def fewest(self) -> int:
        """Labels without an error that a test of this level needs: p = 0.9 and delta = 0.05 need 29."""
        return math.ceil(math.log(self.delta) / math.log(self.precision))

    def at(self, share: float) -> "Claim":
        """The same at a share of its level."""
        return replace(self, delta=share * self.delta)


@dataclass(frozen=True)
class Candidate:
    """A threshold, how many documents it keeps, and where its labels stand: places in the random order, ascending."""

    threshold: float
    documents: int
    places: Sequence[int]


@dataclass(frozen=True)
class Trial:
    """What was found of one candidate."""

    threshold: float
    documents: int
    labels: int
    positives: int
    passed: bool


Label = Callable[[Sequence[int]], Sequence[bool]]  # places in the random order -> whether each is positive


def certify(claim: Claim, candidates: Sequence[Candidate], label: Label, labels: int) -> list[Trial]:
    """Tests the candidates, given strictest first, with at most `labels` labels. The last that passed is certified.

    A candidate with fewer documents than `claim.fewest` is left out, as it could be shown by none but all its labels.
    """
    eligible = [one for one in candidates if one.documents >= claim.fewest]
    granted = _Labels(label, labels)
    if not claim.anytime:
        sizes = iter(fixed_sizes(eligible, labels))
        return in_sequence(eligible, lambda one: _fixed(claim, one, granted, next(sizes)))
    stricter = [one for one in eligible if one.threshold > claim.precision]
    lower = eligible[len(stricter) :]
    if not (stricter and lower):
        return in_sequence(eligible, lambda one: _anytime(claim, one, granted))
    some = granted.at_most(int(labels * FOR_ITS_FIRST))
    found = in_sequence(lower, lambda one: _anytime(claim.at(FROM_P), one, some if one is lower[0] else granted))
    if not found[0].passed:
        found += in_sequence(stricter, lambda one: _anytime(claim.at(1 - FROM_P), one, granted))
    return found


def in_sequence(candidates: Sequence[Candidate], test: Callable[[Candidate], Trial]) -> list[Trial]:
    """Trials up to the first that fails, and with it."""
    found = list[Trial]()
    for candidate in candidates:
        found.append(test(candidate))
        if not found[-1].passed:
            break
    return found


def fixed_sizes(candidates: Sequence[Candidate], labels: int) -> list[int]:
    """As many labels for every candidate, so that together they need at most `labels`."""
    least, most = 0, labels
    while least < most:
        middle = (least + most + 1) // 2
        needed = {place for one in candidates for place in one.places[:middle]}
        least, most = (middle, most) if len(needed) <= labels else (least, middle - 1)
    return [min(least, len(one.places)) for one in candidates]


def wealth(draws: Bools, documents: int, precision: float) -> Reals:
    """The bettors' mean wealth after every draw, float64 [draws], from uniform draws without replacement.

    Infinite once the positives drawn are as many as `precision` asks of all documents.
    """
    drawn = np.arange(len(draws))
    before: NDArray[np.int64] = np.cumsum(draws) - draws
    expected = (documents * precision - before) / (documents - drawn)  # of the next draw, at precision `p`
    bets = _bets(precision)[:, None] / precision / max(1 - precision, 1e-12)
    bets = np.minimum(bets, 1 / np.maximum(expected, 1e-12))
    gains = np.log(np.maximum(1 + bets * (draws - expected), 0) + 1e-300)
    total = np.logaddexp.reduce(np.cumsum(gains, axis=1), axis=0) - math.log(BETS)
    reached = np.cumsum(draws) >= documents * precision
    return np.asarray(np.where(reached, np.inf, np.exp(np.minimum(total, 700))))


def _bets(precision: float) -> Reals:
    """Each bettor's precision less `p`."""
    return np.asarray((1 - precision) * np.arange(1, BETS + 1) / BETS)


def labels_needed(claim: Claim, precision: float) -> int | None:
    """Labels to grant for a precision of this size to be expected to pass at once; None where it would not.

    The growth of the best bettor's wealth is the divergence of the two precisions; its share costs `log(BETS)`.
    """
    if precision <= claim.precision:
        return None
    q, p = precision, claim.precision
    rest = 0.0 if q >= 1 else (1 - q) * math.log((1 - q) / (1 - p))
    growth = q * math.log(q / p) + rest
    return math.ceil((math.log(BETS) - math.log(FROM_P * claim.delta)) / growth / FOR_ITS_FIRST)


@dataclass(frozen=True)
class _Labels:
    """Labels by place, asked for once, and no more of them than were granted."""

    label: Label
    limit: int
    asked: dict[int, bool] = field(default_factory=dict)

    def at_most(self, limit: int) -> "_Labels":
        """The same labels, of which fewer are granted for now."""
        return replace(self, limit=limit)

    def of(self, places: Sequence[int]) -> Bools:
        """Those of as many of `places`, from the first, as may be asked."""
        new = [place for place in places if place not in self.asked][: max(self.limit - len(self.asked), 0)]
        self.asked.update(zip(new, self.label(new), strict=True) if new else ())
        known = next((n for n, place in enumerate(places) if place not in self.asked), len(places))
        return np.array([self.asked[place] for place in places[:known]], dtype=bool)


def _fixed(claim: Claim, candidate: Candidate, labels: _Labels, size: int) -> Trial:
    draws = labels.of(candidate.places[:size])
    positives = int(draws.sum())
    passed = share_p_value(positives, len(draws), candidate.documents, claim.precision) <= claim.delta
    return Trial(candidate.threshold, candidate.documents, len(draws), positives, passed)


def _anytime(claim: Claim, candidate: Candidate, labels: _Labels) -> Trial:
    size = len(candidate.places)
    for asked in range(STEP, size + STEP, STEP):
        draws = labels.of(candidate.places[: min(asked, size)])
        grown = np.flatnonzero(wealth(draws, candidate.documents, claim.precision) >= 1 / claim.delta)
        if len(grown) or len(draws) < asked:
            break
    used = int(grown[0]) + 1 if len(grown) else len(draws)
    return Trial(candidate.threshold, candidate.documents, used, int(draws[:used].sum()), bool(len(grown)))
