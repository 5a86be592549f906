"""A certified precision or recall is false at most as often as it says, whatever the pool; and few are refused."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binomtest

from datashop_assets.filtered_pool.certificate import order_key
from datashop_assets.filtered_pool.results import Trial
from datashop_assets.filtered_pool.threshold_tests import (
    THRESHOLDS,
    CandidateThreshold,
    Claim,
    certify,
    labels_needed,
    wealth,
)

DOCUMENTS = 3000
CLAIMS = {
    "precision, anytime": Claim(0.8, 0.1),
    "precision, fixed": Claim(0.8, 0.1, anytime=False),
    "recall": Claim(0.8, 0.1, kind="recall"),
}


@dataclass(frozen=True)
class Pool:
    """Documents in the order in which they are drawn: their scores, and whether they are positive."""

    scores: NDArray[np.float64]
    positive: NDArray[np.bool_]

    def drawn(self, seed: int, copies: int = 1) -> "Pool":
        """In the order of the product, in which `copies` neighbours are one text under one name."""
        places = range(len(self.scores))
        keys = [order_key(f"{seed} {place // copies}", "a name", "a shard", place) for place in places]
        order = np.argsort(np.array(keys, dtype=np.uint64))
        return Pool(self.scores[order], self.positive[order])

    def candidates(self, claim: Claim) -> list[CandidateThreshold]:
        found = []
        for threshold in claim.thresholds:
            above = self.scores >= threshold
            places = np.flatnonzero(above) if claim.kind == "precision" else np.arange(len(above))
            found.append(CandidateThreshold(threshold, int(above.sum()), len(places), places.tolist(), above[places]))
        return found

    def share(self, claim: Claim, threshold: float) -> float:
        """The true precision or recall."""
        above = self.scores >= threshold
        of = above if claim.kind == "precision" else self.positive
        return float((above & self.positive).sum() / of.sum()) if of.any() else 0.0

    def label(self, places: Sequence[int]) -> list[bool | None]:
        return self.positive[list(places)].tolist()

    def oracle(self, claim: Claim) -> int:
        """Documents kept by the best candidate of which the claim is true; 0 where it is of none."""
        sizes = [
            one.documents
            for one in self.candidates(claim)
            if one.documents and self.share(claim, one.threshold) >= claim.share
        ]
        return (max if claim.kind == "precision" else min)(sizes, default=0)


def calibrated(random: np.random.Generator) -> Pool:
    scores = random.beta(0.5, 0.8, DOCUMENTS)
    return Pool(scores, random.random(DOCUMENTS) < scores**0.3)


def exactly_p(random: np.random.Generator) -> Pool:
    """One document short of the precision in every band between two thresholds: each certificate is false."""
    scores = random.random(DOCUMENTS)
    bands, positive = np.digitize(scores, THRESHOLDS), np.zeros(DOCUMENTS, bool)
    for band in range(len(THRESHOLDS) + 1):
        inside = random.permutation(np.flatnonzero(bands == band))
        positive[inside[: math.ceil(0.8 * len(inside)) - 1]] = True
    return Pool(scores, positive)


def not_monotone(random: np.random.Generator) -> Pool:
    """Poor at the top, good in the middle, poor below."""
    scores = random.random(DOCUMENTS)
    return Pool(scores, random.random(DOCUMENTS) < np.select([scores > 0.9, scores > 0.5], [0.75, 0.97], 0.3))


def overconfident(random: np.random.Generator) -> Pool:
    """Scores promise more than they hold, but at the top."""
    scores = random.beta(0.5, 0.8, DOCUMENTS)
    return Pool(scores, random.random(DOCUMENTS) < scores**0.3 * np.where(scores > 0.9, 0.97, 0.75))


def rare(random: np.random.Generator) -> Pool:
    """One document in fifty is positive, most of them at the top."""
    scores = random.beta(0.1, 4, DOCUMENTS)
    return Pool(scores, random.random(DOCUMENTS) < np.clip((scores - 0.2) * 3, 0, 0.95))


def copied(copies: int, noise: float = 0.0) -> Callable[[np.random.Generator], Pool]:
    """Texts that stand in the pool many times; with `noise` near copies, whose scores differ a little.

    One text short of the precision in every band, so that what tells of one copy too often tells too much.
    """

    def make(random: np.random.Generator) -> Pool:
        texts = DOCUMENTS // copies
        scores = random.random(texts)
        bands, positive = np.digitize(scores, THRESHOLDS), np.zeros(texts, bool)
        for band in range(len(THRESHOLDS) + 1):
            inside = random.permutation(np.flatnonzero(bands == band))
            positive[inside[: math.ceil(0.8 * len(inside)) - 1]] = True
        each = np.repeat(scores, copies)
        return Pool(np.clip(each + noise * random.normal(size=len(each)), 0, 1), np.repeat(positive, copies))

    make.__name__ = f"{copies} {'near ' if noise else ''}copies of each text"
    make.copies = 1 if noise else copies  # type: ignore[attr-defined]
    return make


def ties(random: np.random.Generator) -> Pool:
    """Three scores alone."""
    scores = random.choice([0.1, 0.55, 0.9], DOCUMENTS)
    return Pool(scores, random.random(DOCUMENTS) < scores**0.25)


def tiny(random: np.random.Generator) -> Pool:
    scores = random.random(40)
    return Pool(scores, random.random(40) < 0.4 + 0.45 * scores)


def empty_at_the_top(random: np.random.Generator) -> Pool:
    """No score above 0.45; a quarter of what is positive scores next to nothing."""
    scores = 0.45 * random.random(DOCUMENTS)
    return Pool(scores, np.where(scores > 0.1, random.random(DOCUMENTS) < 0.79, random.random(DOCUMENTS) < 0.9))


def short_of_recall(random: np.random.Generator) -> Pool:
    """One positive short of the recall for every candidate: those that are missed score nothing."""
    positive = np.zeros(DOCUMENTS, bool)
    positive[random.permutation(DOCUMENTS)[:600]] = True
    scores = np.where(positive, 0.97, 0.6 * random.random(DOCUMENTS))
    scores[np.flatnonzero(positive)[:121]] = 0.0
    return Pool(scores, positive)


def outcome(pool: Pool, claim: Claim, labels: int) -> tuple[bool, int, list[Trial]]:
    """Whether the certificate is false, what it keeps, and what was tested."""
    tested = certify(claim, pool.candidates(claim), pool.label, labels)
    passed = [one for one in tested if one.passed]
    if not passed:
        return False, 0, tested
    return pool.share(claim, passed[-1].threshold) < claim.share, passed[-1].documents, tested


@dataclass(frozen=True)
class Simulated:
    """What came of many runs: false certificates, refusals, and what was kept of what an oracle would keep."""

    runs: int
    false: int
    refused: int
    yields: Sequence[float]  # of the runs in which an oracle would keep something

    def __str__(self) -> str:
        interval = binomtest(self.false, self.runs).proportion_ci(0.95)
        kept = f"{np.mean(self.yields):.3f} of the oracle's yield in {len(self.yields)} runs" if self.yields else "none"
        return (
            f"{self.false} of {self.runs} certificates are false ({self.false / self.runs:.4f}, "
            f"{interval.low:.4f} to {interval.high:.4f}); {self.refused} refused; {kept}"
        )


def simulate(make: Callable[[np.random.Generator], Pool], claim: Claim, runs: int, first: int) -> Simulated:
    """After a refusal labels are added, as long as nothing is certified: adaptive top-up, of the anytime design."""
    false, refused, yields = 0, 0, []
    for seed in range(runs):
        pool = make(np.random.default_rng(seed)).drawn(seed, getattr(make, "copies", 1))
        for labels in (first, 2 * first, 5 * first) if claim.anytime else (first,):
            violated, kept, _ = outcome(pool, claim, labels)
            if kept:
                break
        false, refused = false + violated, refused + (kept == 0)
        if best := pool.oracle(claim):
            worth = kept / best if claim.kind == "precision" else best / kept if kept else 0.0
            yields.append(0.0 if violated else worth)
    return Simulated(runs, false, refused, yields)


def hold(make: Callable[[np.random.Generator], Pool], name: str, runs: int) -> None:
    """Among all runs, refused ones included, no more than delta are false, by an exact test at 1%."""
    claim = CLAIMS[name]
    found = simulate(make, claim, runs, 100)
    print(f"{make.__name__}: {name}: {found}")
    assert binomtest(found.false, runs, claim.delta, alternative="greater").pvalue > 0.01


POOLS = (
    calibrated,
    exactly_p,
    not_monotone,
    overconfident,
    rare,
    copied(2),
    copied(20),
    copied(50),
    copied(10, noise=0.01),
    ties,
    tiny,
    empty_at_the_top,
    short_of_recall,
)


@pytest.mark.parametrize("name", CLAIMS)
@pytest.mark.parametrize("make", POOLS, ids=lambda make: make.__name__)
def test_false_certificates_are_as_rare_as_stated(make: Callable[[np.random.Generator], Pool], name: str) -> None:
    hold(make, name, 25)


@pytest.mark.faults
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", CLAIMS)
@pytest.mark.parametrize("make", POOLS, ids=lambda make: make.__name__)
def test_false_certificates_are_as_rare_as_stated_in_thousands_of_runs(
    make: Callable[[np.random.Generator], Pool], name: str
) -> None:
    hold(make, name, 2000)


@pytest.mark.parametrize("name", CLAIMS)
def test_most_of_what_an_oracle_would_keep_is_kept(name: str) -> None:
    assert np.mean(simulate(calibrated, CLAIMS[name], 20, 600).yields) > 0.5


@pytest.mark.parametrize("make", [not_monotone, overconfident])
def test_a_poor_top_and_a_poor_middle_are_no_reason_to_refuse(make: Callable[[np.random.Generator], Pool]) -> None:
    found = simulate(make, Claim(0.8, 0.1), 40, 150)
    assert found.refused <= 4
    assert np.mean(found.yields) > 0.4


@pytest.mark.parametrize("missing", [True, False])
def test_what_has_no_label_counts_against_a_recall(missing: bool) -> None:
    """A failed reply may stand for a positive that is missed, and for none that is kept."""
    kept = np.array([True, False] * 300)
    one = CandidateThreshold(0.5, 300, 10_000, range(600), kept)
    labels = [True if keeps else None if missing else False for keeps in kept]
    [found] = certify(Claim(0.8, 0.1, kind="recall"), [one], lambda places: [labels[place] for place in places], 600)
    assert found.passed is not missing


def test_a_pool_without_a_positive_has_no_recall_to_certify() -> None:
    pool = Pool(np.linspace(0, 1, 50), np.zeros(50, bool))
    _, kept, tested = outcome(pool, CLAIMS["recall"], 50)
    assert (kept, tested[0].labels, tested[0].positives) == (0, 50, 0)
    assert labels_needed(CLAIMS["recall"], tested[0]) is None


def test_29_labels_without_an_error_are_the_fewest_for_nine_in_ten() -> None:
    claim = Claim(0.9, 0.05, anytime=False)
    assert claim.fewest == 29
    one = [CandidateThreshold(0.5, 100_000, 100_000, range(100_000), np.ones(100_000, bool))]
    assert not certify(claim, one, lambda places: [True] * len(places), 28)[0].passed
    assert certify(claim, one, lambda places: [True] * len(places), 29)[0].passed


def test_the_fewest_labels_are_exact_where_logarithms_divide_evenly() -> None:
    assert 0.1 * 0.1 * 0.1 > 0.001
    assert Claim(share=0.1, delta=0.001).fewest == 3
    assert Claim(share=0.5, delta=0.125).fewest == 3
    assert Claim(share=0.3, delta=0.09).fewest == 2


def test_at_a_true_precision_of_85_percent_80_percent_takes_some_150_labels_half_of_the_time() -> None:
    claim, passed = Claim(0.8, 0.05, anytime=False), {}
    for labels in (140, 170):
        draws = np.random.default_rng(0).random((300, labels)) < 0.85
        one = [CandidateThreshold(0.5, 1_000_000, 1_000_000, range(1_000_000), np.ones(1_000_000, bool))]
        passed[labels] = np.mean(
            [certify(claim, one, lambda at, d=d: d[list(at)].tolist(), labels)[0].passed for d in draws]
        )
    assert passed[140] < passed[170]
    assert 0.3 < passed[140] < 0.6


def test_wealth_passes_its_bound_as_rarely_as_villes_inequality_says() -> None:
    """At precision exactly p, looked at after every one of 500 draws without replacement from 1,000."""
    random, runs = np.random.default_rng(0), 1000
    positive = np.arange(1000) < 800
    passed = sum((wealth(1.0 * random.permutation(positive)[:500], 1000, 0.8) >= 20).any() for _ in range(runs))
    assert binomtest(passed, runs).proportion_ci(0.999).low <= 0.05


def test_drawing_nearly_all_of_a_small_pool_settles_it() -> None:
    positive = np.array([True] * 85 + [False] * 15)
    grown = wealth(1.0 * np.random.default_rng(1).permutation(positive), 100, 0.8)
    assert grown[-1] == np.inf


def seen(share: float) -> Trial:
    """A refusal after 100 labels."""
    positives = round(100 * share)
    return Trial(threshold=0.5, documents=1_000_000, labels=100, positives=positives, passed=False)


def test_it_says_how_many_labels_a_precision_would_need() -> None:
    claim = Claim(0.9, 0.05)
    needed = labels_needed(claim, seen(0.96))
    assert needed is not None
    passed = []
    for seed in range(40):
        draws = np.random.default_rng(seed).random(2 * needed) < 0.96
        passed.append((wealth(1.0 * draws, 1_000_000, 0.9) >= 20).any())
    assert np.mean(passed) > 0.7
    assert labels_needed(claim, seen(0.9)) is None


def test_it_says_how_many_labels_a_recall_would_need() -> None:
    """Of 100 labels 20 are positive, and one of these is missed."""
    claim, trial = Claim(0.8, 0.05, kind="recall"), seen(0.2).model_copy(update={"missed": 1})
    needed = labels_needed(claim, trial)
    assert needed is not None
    passed = []
    for seed in range(40):
        random = np.random.default_rng(seed)
        draws = np.where(random.random(2 * needed) < 0.2, random.random(2 * needed) < 0.95, 0.8)
        passed.append((wealth(draws, 1_000_000, 0.8) >= 20).any())
    assert np.mean(passed) > 0.7


def test_what_cannot_be_certified_is_refused() -> None:
    pool = Pool(np.random.default_rng(0).random(500), np.zeros(500, bool))
    _, kept, tested = outcome(pool, Claim(0.9, 0.05), 200)
    assert kept == 0
    assert not tested[0].passed


def test_no_more_labels_are_asked_for_than_were_granted() -> None:
    asked: list[int] = []
    pool = calibrated(np.random.default_rng(3))

    def label(places: Sequence[int]) -> list[bool | None]:
        asked.extend(places)
        return pool.label(places)

    for claim in CLAIMS.values():
        asked.clear()
        certify(claim, pool.candidates(claim), label, 90)
        assert len(asked) == len(set(asked)) <= 90
