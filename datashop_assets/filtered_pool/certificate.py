"""Builds `keep_certificate`: draws documents of the scored pool, asks for their labels, tests thresholds by them.

Positive is what the annotator scores at least `positive_from`. Precision and recall are shares of documents, each copy
one, among documents whose text was never annotated before: training, calibration and the choice of an encoder have seen
none of them. A failed, refused or unparsed reply counts against the claim (`threshold_tests`).

The pool is put into one random order, by keyed hash of what a document is and where it stands, so that copies are drawn
each by itself. The draws of a threshold are the first in that order: for precision among the documents that it keeps,
for recall among all. Memory holds the draws and a chunk, whatever the pool.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from datashop_assets.annotations.results import AnnotationsResult
from datashop_assets.asking.collecting import DocumentScorer
from datashop_assets.asking.replies import Judge
from datashop_assets.core.step import AnsweredBy, StepRun
from datashop_assets.documents.pool import pool_shards, read_chosen
from datashop_assets.documents.results import PretrainingPoolResult
from datashop_assets.filtered_pool.pool_table import side_by_side
from datashop_assets.filtered_pool.results import KeepCertificateConfig, KeepCertificateResult, PoolScoresResult
from datashop_assets.filtered_pool.threshold_tests import CandidateThreshold, Claim, certify, labels_needed
from datashop_assets.protocols.documents import Document
from datashop_assets.protocols.progress import Bar
from datashop_assets.rubric.results import RubricResult, rubric_text
from datashop_assets.storage.digests import keyed_hash
from datashop_assets.storage.stage_folder import StageFolder

CERTIFICATE, LABELS = "certificate.json", "labels.parquet"
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


class RefusedError(ValueError):
    """No threshold could be certified. The message says what would help."""


def certify_rule(run: StepRun[KeepCertificateConfig]) -> KeepCertificateResult:
    """Draws, asks and tests. Writes the labels that were asked for, and the outcome once more as JSON."""
    rule, pool = run.config.rule, run.input(PretrainingPoolResult)
    claim = Claim.of(rule)
    used = {row["content"] for row in run.input(AnnotationsResult).all_rows()}
    drawn = draw(claim, pool, run.input(PoolScoresResult), used, rule.labels)
    scoring = run.config.scoring
    question = scoring.question.resolve(rubric_text(run.optional_input(RubricResult)), run.annotator)
    judge = Judge.of(scoring.parsing)
    scorer = DocumentScorer(run.annotator, question, judge, run.answers, run.output.scratch, run.limits)
    labels = _Labels(scorer, _documents(pool, drawn), run.config.positive_from)
    with run.resources.progress.bar("certificate", rule.labels, "labels") as bar:
        trials = certify(claim, drawn.candidates, lambda places: labels.ask(places, bar), rule.labels)
    run.output.write_rows(LABELS, labels.rows(drawn), SCHEMA)
    passed = [trial for trial in trials if trial.passed]
    result = KeepCertificateResult(
        answered_by=AnsweredBy(
            model=question.model, revision=question.revision, pinned=bool(scoring.question.revision)
        ),
        rule=rule,
        threshold=passed[-1].threshold if passed else None,
        trials=tuple(trials),
        fewest=claim.fewest,
        labels_needed=None if passed or not trials else labels_needed(claim, trials[0]),
        labelled=len(labels.scores),
        unlabelled=sum(score is None for score in labels.scores.values()),
        spent=scorer.spent,
    )
    run.output.put_bytes(CERTIFICATE, result.model_dump_json().encode())
    return result


def certified_threshold(found: KeepCertificateResult) -> float:
    """The threshold that was certified. Raises `RefusedError` where none was."""
    if found.threshold is not None:
        return found.threshold
    claim = Claim.of(found.rule)
    seen = f"no threshold keeps the {found.fewest} documents that a certificate needs"
    if found.trials:
        first = found.trials[0]
        seen = f"of {first.labels} labels from a score of {first.threshold} upward {first.positives} are positive"
        if claim.kind == "recall":
            missed = f"{first.missed} of these score less than {first.threshold}"
            seen = f"of {first.labels} labels {first.positives} are positive, and {missed}"
    if found.labels_needed is None:
        fix = f"Lower keep.{claim.kind}, or improve the encoder with more annotations"
        if found.trials and not found.trials[0].positives:
            fix = "Raise keep.labels (answers are kept)"
    elif claim.anytime:
        fix = f"Raise keep.labels to some {found.labels_needed} (answers are kept), or lower keep.{claim.kind}"
    else:
        fix = f"Set keep.design to anytime and keep.labels to some {found.labels_needed}, or lower keep.precision"
    raise RefusedError(
        f"{claim.kind} {claim.share} with probability {1 - claim.delta:g} is not certified for any threshold: {seen}. "
        f"{fix}; nothing is kept"
    )


@dataclass(frozen=True)
class CertificateDraw:
    """The beginning of the random order: `rows` with the columns of `DRAWN`, and the thresholds over it."""

    rows: pl.DataFrame
    candidates: Sequence["CandidateThreshold"]


def draw(
    claim: Claim, pool: StageFolder, scores: StageFolder, annotated: Collection[str], labels: int
) -> CertificateDraw:
    """For every threshold the first `labels` documents of its population whose text is not in `annotated`.

    `annotated` holds digests of all texts that training, calibration and the choice of an encoder may have seen.
    """
    thresholds, used = claim.thresholds, pl.Series(sorted(annotated), dtype=pl.String)
    floors = thresholds if claim.kind == "precision" else (0.0,)  # of the scores in each population
    first = {floor: pl.DataFrame(schema=DRAWN) for floor in floors}
    counts = dict.fromkeys({*thresholds, *floors}, 0)
    for chunk in _keyed(pool, scores, used, min(floors)):
        for threshold in counts:
            counts[threshold] += int((chunk["score"] >= threshold).sum())
        for floor, drawn in first.items():
            above = chunk.filter(pl.col("score") >= floor)
            first[floor] = pl.concat([drawn, above]).sort("key", "shard", "row").head(labels)
    rows = pl.concat(first.values()).unique().sort("key", "shard", "row")
    found, candidates = rows["score"].to_numpy(), []
    for threshold in thresholds:
        floor = threshold if threshold in first else 0.0
        places = np.flatnonzero(found >= floor)[:labels]
        kept = found[places] >= threshold
        candidates.append(CandidateThreshold(threshold, counts[threshold], counts[floor], places.tolist(), kept))
    return CertificateDraw(rows, candidates)


def _keyed(pool: StageFolder, scores: StageFolder, used: pl.Series, floor: float) -> Iterator[pl.DataFrame]:
    """The documents that score `floor` or more, with their keys."""
    for shard in pool_shards(pool):
        for chunk in side_by_side(shard, pool, scores):
            together = chunk.filter(pl.col("score") >= floor, ~pl.col("content").is_in(used.implode()))
            names = together.select("content", "id", "row").iter_rows()
            keys = [order_key(content, name, shard, row) for content, name, row in names]
            yield together.select(pl.Series("key", keys, pl.UInt64), "score", pl.lit(shard).alias("shard"), "row")


def order_key(content: str, name: str, shard: str, row: int) -> int:
    """Where a document stands in the random order. Copies have one content, and often one name, but not one place."""
    return keyed_hash("certificate", f"{content} {name} {shard} {row}")


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

    def ask(self, places: Sequence[int], bar: Bar) -> list[bool | None]:
        """Whether each document is positive; None where its reply holds no score."""
        scores = self._scorer.scores_of((self._documents[place] for place in places), bar)
        self.scores.update(zip(places, scores, strict=True))
        return [self._positive(place) for place in places]

    def rows(self, drawn: CertificateDraw) -> Iterator[dict[str, Any]]:
        """A row of `SCHEMA` for every label."""
        for place in sorted(self.scores):
            known = {
                "place": place,
                "expected_score": self.scores[place],
                "positive": self._positive(place) or False,
            }
            yield {**drawn.rows.row(place, named=True), **known}

    def _positive(self, place: int) -> bool | None:
        expected = self.scores[place]
        return None if expected is None else expected >= self._positive_from
