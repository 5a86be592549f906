"""The certificate of a keep rule: the lowest threshold whose precision is at least `p` with probability `1 - delta`.

Precision is agreement with the annotator's label, by document, among documents that were never annotated before. A
failed, refused or unparsed reply counts as negative.

**Draw.** The pool is put into one random order, by keyed hash of content and id, so that it depends on no shard and no
run. The labels of a candidate threshold are the first in that order among the documents that it keeps: uniform draws
without replacement. Memory holds the draws and a chunk, whatever the pool.

**Design.** Candidates are tested in an order that was settled before, each at one level, and the sequence ends at the
first that fails: the chance to pass any threshold whose precision is below `p` stays at most that level, whatever the
precisions are and however they rise and fall (fixed-sequence testing: Maurer, Hothorn and Lehmacher, 1995).

`fixed`: an exact hypergeometric test at a number of labels that was settled before, from the strictest candidate down,
at level `delta`. `anytime`: a betting test that may be looked at after every label, so that labels may be added after a
refusal (Waudby-Smith and Ramdas, Estimating means of bounded random variables by betting, 2024, section 6: sampling
without replacement). A bettor of every precision in `BETS` starts with the same share; their wealth is a martingale at
most while precision is below `p`, so that it reaches `1 / delta` with probability at most `delta` (Ville's inequality).
It goes through two sequences, whose levels add up to `delta`: from score `p` down, where a calibrated score promises
that precision is enough, and, if already the first of these fails, from the strictest down to there.
"""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from datashop_assets.annotations.results import AnnotationsResult
from datashop_assets.asking.collecting import DocumentScorer
from datashop_assets.asking.replies import Judge
from datashop_assets.core.step import AnsweredBy, StepRun
from datashop_assets.documents.pool import pool_shards, read_chosen
from datashop_assets.documents.results import PretrainingPoolResult
from datashop_assets.filtered_pool.pool_table import side_by_side
from datashop_assets.filtered_pool.results import (
    KeepCertificateConfig,
    KeepCertificateResult,
    PoolScoresResult,
    Trial,
)
from datashop_assets.protocols.documents import Document
from datashop_assets.protocols.progress import Bar
from datashop_assets.rubric.results import RubricResult, rubric_text
from datashop_assets.statistics.comparison import at_least, share_p_value
from datashop_assets.storage.digests import keyed_hash
from datashop_assets.storage.stage_folder import StageFolder

Reals = NDArray[np.float64]
Bools = NDArray[np.bool_]
CERTIFICATE, LABELS = "certificate.json", "labels.parquet"
THRESHOLDS = tuple(float(score) for score in np.round(np.arange(0.95, 0.0, -0.05), 2))  # of calibrated scores
DRAWN = {"key": pl.UInt64, "score": pl.Float64, "shard": pl.String, "row": pl.Int64}
SCHEMA = {
    "place": pl.Int64,  # in the random order
    "key": pl.UInt64,
    "shard": pl.String,
    "row": pl.Int64,
    "score": pl.Float64,
    "expected_score": pl.Float64,
    "positive": pl.Boolean,
}
BETS = 10  # bettors, for precisions from halfway above `p` to 1
ROUNDING = 1e-12  # of a quotient of logarithms
STEP = 16  # labels asked for together
FROM_P = 0.8  # of `delta`: the level of the sequence that begins at score `p`
FOR_ITS_FIRST = 0.7  # of the labels, at most: the rest is for the other sequence


class RefusedError(ValueError):
    """No threshold could be certified. The message says what would help."""


def certify_rule(run: StepRun[KeepCertificateConfig]) -> KeepCertificateResult:
    """Draws, asks and tests. Writes the labels that were asked for, and the outcome once more as JSON."""
    rule, pool = run.config.rule, run.input(PretrainingPoolResult)
    claim = Claim(rule.precision, rule.delta, rule.design == "anytime")
    used = {row["content"] for row in run.input(AnnotationsResult).all_rows()}
    drawn = draw(pool, run.input(PoolScoresResult), used, rule.labels)
    scoring = run.config.scoring
    question = scoring.question.resolve(rubric_text(run.optional_input(RubricResult)), run.annotator)
    judge = Judge.of(scoring.parsing)
    scorer = DocumentScorer(run.annotator, question, judge, run.answers, run.output.scratch, run.limits)
    labels = _Labels(scorer, _documents(pool, drawn), run.config.positive_from)
    with run.resources.progress.bar("certificate", rule.labels, "labels") as bar:
        trials = certify(claim, drawn.candidates, lambda places: labels.ask(places, bar), rule.labels)
    run.output.write_rows(LABELS, labels.rows(drawn), SCHEMA)
    passed = [trial for trial in trials if trial.passed]
    first = trials[0] if trials else None
    result = KeepCertificateResult(
        answered_by=AnsweredBy(
            model=question.model, revision=question.revision, pinned=bool(scoring.question.revision)
        ),
        rule=rule,
        threshold=passed[-1].threshold if passed else None,
        trials=tuple(trials),
        fewest=claim.fewest,
        labels_needed=None
        if passed or not (first and first.labels)
        else labels_needed(claim, first.positives / first.labels),
        labelled=len(labels.scores),
        unlabelled=sum(score is None for score in labels.scores.values()),
    )
    run.output.put_bytes(CERTIFICATE, result.model_dump_json().encode())
    return result


def certified_threshold(found: KeepCertificateResult) -> float:
    """The threshold that was certified. Raises `RefusedError` where none was."""
    if found.threshold is not None:
        return found.threshold
    rule, seen = found.rule, f"no threshold keeps the {found.fewest} documents that a certificate needs"
    if found.trials:
        first = found.trials[0]
        seen = f"of {first.labels} labels from a score of {first.threshold} upward {first.positives} are positive"
    if found.labels_needed is None:
        fix = "Lower keep.precision, or improve the encoder with more annotations"
    elif rule.design == "anytime":
        fix = f"Raise keep.labels to some {found.labels_needed} (answers are kept), or lower keep.precision"
    else:
        fix = f"Set keep.design to anytime and keep.labels to some {found.labels_needed}, or lower keep.precision"
    raise RefusedError(
        f"precision {rule.precision} with probability {1 - rule.delta:g} is not certified for any threshold: {seen}. "
        f"{fix}; nothing is kept"
    )


@dataclass(frozen=True)
class CertificateDraw:
    """The beginning of the random order: `rows` with the columns of `DRAWN`, and the thresholds over it."""

    rows: pl.DataFrame
    candidates: Sequence["Candidate"]


def draw(pool: StageFolder, scores: StageFolder, annotated: Collection[str], labels: int) -> CertificateDraw:
    """For every threshold the first `labels` documents that it keeps and whose text is not in `annotated`.

    `annotated` holds digests of all texts that training, calibration and the choice of an encoder may have seen.
    """
    first = {threshold: pl.DataFrame(schema=DRAWN) for threshold in THRESHOLDS}
    counts, used = dict.fromkeys(THRESHOLDS, 0), pl.Series(sorted(annotated), dtype=pl.String)
    for chunk in _keyed(pool, scores, used):
        for threshold in THRESHOLDS:
            above = chunk.filter(pl.col("score") >= threshold)
            counts[threshold] += len(above)
            first[threshold] = pl.concat([first[threshold], above]).sort("key", "shard", "row").head(labels)
    rows = pl.concat(first.values()).unique().sort("key", "shard", "row")
    places = {one: np.flatnonzero(rows["score"].to_numpy() >= one)[:labels].tolist() for one in THRESHOLDS}
    return CertificateDraw(rows, [Candidate(one, counts[one], places[one]) for one in THRESHOLDS])


def _keyed(pool: StageFolder, scores: StageFolder, used: pl.Series) -> Iterator[pl.DataFrame]:
    """The documents that some threshold keeps, with their keys: most of a pool scores lower and needs none."""
    for shard in pool_shards(pool):
        for chunk in side_by_side(shard, pool, scores):
            together = chunk.filter(pl.col("score") >= min(THRESHOLDS), ~pl.col("content").is_in(used.implode()))
            names = together.select("content", "id").iter_rows()
            keys = [keyed_hash("certificate", f"{content} {name}") for content, name in names]
            yield together.select(pl.Series("key", keys, pl.UInt64), "score", pl.lit(shard).alias("shard"), "row")


def _documents(pool: StageFolder, drawn: CertificateDraw) -> dict[int, Document]:
    """The documents by their place in the order; each shard is read once."""
    places = {key: place for place, key in enumerate(drawn.rows.select("shard", "row").iter_rows())}
    found = {}
    for shard in sorted(set(drawn.rows["shard"])):
        rows = sorted(row for name, row in places if name == shard)
        found.update({places[shard, row]: document for row, document in read_chosen(pool, shard, rows)})
    return found


class _Labels:
    """Labels by place in the random order, as far as they were asked for, through the answer store."""

    def __init__(self, scorer: DocumentScorer, documents: Mapping[int, Document], positive_from: float) -> None:
        self._scorer, self._documents, self._positive_from = scorer, documents, positive_from
        self.scores: dict[int, float | None] = {}  # expected scores from 0 to 5; None where the reply holds none

    def ask(self, places: Sequence[int], bar: Bar) -> list[bool]:
        """Whether each document is positive."""
        scores = self._scorer.scores_of((self._documents[place] for place in places), bar)
        self.scores.update(zip(places, scores, strict=True))
        return [self._positive(place) for place in places]

    def rows(self, drawn: CertificateDraw) -> Iterator[dict[str, Any]]:
        """A row of `SCHEMA` for every label."""
        for place in sorted(self.scores):
            known = {"place": place, "expected_score": self.scores[place], "positive": self._positive(place)}
            yield {**drawn.rows.row(place, named=True), **known}

    def _positive(self, place: int) -> bool:
        expected = self.scores[place]
        return expected is not None and expected >= self._positive_from


@dataclass(frozen=True)
class Claim:
    """What is to be shown."""

    precision: float
    delta: float
    anytime: bool = True

    @property
    def fewest(self) -> int:
        """Labels without an error that a test of this level needs: p = 0.9 and delta = 0.05 need 29."""
        labels = math.log(self.delta) / math.log(self.precision)
        return math.ceil(labels * (1 - ROUNDING))  # 0.1 and 0.001 need 3, and the quotient is 3 but for its last digit

    def at(self, share: float) -> "Claim":
        """The same at a share of its level."""
        return replace(self, delta=share * self.delta)


@dataclass(frozen=True)
class Candidate:
    """A threshold, how many documents it keeps, and where its labels stand: places in the random order, ascending."""

    threshold: float
    documents: int
    places: Sequence[int]


Label = Callable[[Sequence[int]], Sequence[bool]]  # places in the random order -> whether each is positive


def certify(claim: Claim, candidates: Sequence[Candidate], label: Label, labels: int) -> list[Trial]:
    """Tests the candidates, given strictest first, with at most `labels` labels. The last that passed is certified.

    A candidate with fewer documents than `claim.fewest` is left out, as it could be shown by none but all its labels.
    """
    eligible = [one for one in candidates if one.documents >= claim.fewest]
    granted = _GrantedLabels(label, labels)
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
    reached = np.cumsum(draws) >= at_least(documents, precision)
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
class _GrantedLabels:
    """Labels by place, asked for once, and no more of them than were granted."""

    label: Label
    limit: int
    asked: dict[int, bool] = field(default_factory=dict)

    def at_most(self, limit: int) -> "_GrantedLabels":
        """The same labels, of which fewer are granted for now."""
        return replace(self, limit=limit)

    def of(self, places: Sequence[int]) -> Bools:
        """Those of as many of `places`, from the first, as may be asked."""
        new = [place for place in places if place not in self.asked][: max(self.limit - len(self.asked), 0)]
        self.asked.update(zip(new, self.label(new), strict=True) if new else ())
        known = next((n for n, place in enumerate(places) if place not in self.asked), len(places))
        return np.array([self.asked[place] for place in places[:known]], dtype=bool)


def _fixed(claim: Claim, candidate: Candidate, labels: _GrantedLabels, size: int) -> Trial:
    draws = labels.of(candidate.places[:size])
    positives = int(draws.sum())
    passed = share_p_value(positives, len(draws), candidate.documents, claim.precision) <= claim.delta
    return _trial(candidate, len(draws), positives, passed)


def _anytime(claim: Claim, candidate: Candidate, labels: _GrantedLabels) -> Trial:
    size = len(candidate.places)
    for asked in range(STEP, size + STEP, STEP):
        draws = labels.of(candidate.places[: min(asked, size)])
        grown = np.flatnonzero(wealth(draws, candidate.documents, claim.precision) >= 1 / claim.delta)
        if len(grown) or len(draws) < asked:
            break
    used = int(grown[0]) + 1 if len(grown) else len(draws)
    return _trial(candidate, used, int(draws[:used].sum()), bool(len(grown)))


def _trial(candidate: Candidate, labels: int, positives: int, passed: bool) -> Trial:
    return Trial(
        threshold=candidate.threshold,
        documents=candidate.documents,
        labels=labels,
        positives=positives,
        passed=passed,
    )
