"""The certificate of a keep rule: annotator labels drawn from the scored pool, where a rule asks for one.

Precision is agreement with the annotator's label, by document, among documents that were never annotated before. A
failed, refused or unparsed reply counts as negative. Where no rule asks, the stage says so; it is never skipped, so
that lineage shows that a filtered pool was not certified.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import polars as pl

from datashop_assets.asking.collecting import DocumentScorer
from datashop_assets.asking.replies import Judge
from datashop_assets.core.step import Metrics, OpenRun
from datashop_assets.filtered_pool.certify import Claim, Trial, certify, labels_needed
from datashop_assets.filtered_pool.draw import Drawn, documents_of, draw
from datashop_assets.prompts.annotator_settings import ScoringConfig
from datashop_assets.rubric.results import RubricResult, rubric_text
from datashop_assets.storage.stage_folder import StageFolder

CERTIFICATE, LABELS = "certificate.json", "labels.parquet"
NOT_ASKED, CERTIFIED, REFUSED = "not asked", "certified", "refused"
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


def build(run: OpenRun) -> Metrics:
    """Metrics: the state (`not asked`, `certified` or `refused`), and where asked the threshold, labels and trials."""
    certificate = _asked(run) if run.config["asked"] else {"state": NOT_ASKED}
    run.output.put_bytes(CERTIFICATE, json.dumps(certificate).encode())
    return dict(certificate)


def _asked(run: OpenRun) -> dict[str, Any]:
    rule = run.config["keep"]
    claim = Claim(rule["precision"], rule["delta"], rule["design"] == "anytime")
    pool = run.inputs["pretraining_pool"]
    drawn = draw(pool, run.inputs["pool_scores"], annotated(run.inputs["annotations"]), rule["labels"])
    label = _Label(run, documents_of(pool, drawn))
    with run.resources.progress.bar("certificate", rule["labels"], "labels") as bar:
        trials = certify(claim, drawn.candidates, lambda places: label.ask(places, bar), rule["labels"])
    run.output.write_rows(LABELS, _rows(drawn, label.scores, run.config["positive_from"]), SCHEMA)
    unlabelled = sum(score is None for score in label.scores.values())
    return {**summary(claim, trials), "rule": dict(rule), "asked": len(label.scores), "unlabelled": unlabelled}


def annotated(annotations: StageFolder) -> set[str]:
    """Digests of all texts that training, calibration and the choice of an encoder may have seen."""
    return {row["content"] for row in annotations.all_rows()}


def summary(claim: Claim, trials: Sequence[Trial]) -> dict[str, Any]:
    """The outcome: the last trial that passed, or what the first would need."""
    shown = [asdict(trial) for trial in trials]
    passed = [trial for trial in trials if trial.passed]
    if passed:
        return {"state": CERTIFIED, **asdict(passed[-1]), "trials": shown}
    best = trials[0] if trials else None
    needed = labels_needed(claim, best.positives / best.labels) if best and best.labels else None
    return {"state": REFUSED, "threshold": None, "needed": needed, "fewest": claim.fewest, "trials": shown}


def certified_rule(rule: Mapping[str, Any], certificate: StageFolder) -> dict[str, Any]:
    """The rule with the threshold that was certified for it. Raises `RefusedError` where none was."""
    if "precision" not in rule:
        return dict(rule)
    found = json.loads(certificate.file(CERTIFICATE).read_bytes())
    if found["state"] == CERTIFIED:
        return {**rule, "threshold": found["threshold"]}
    raise RefusedError(
        f"precision {rule['precision']} with probability {1 - rule['delta']:g} is not certified for any threshold: "
        f"{_seen(found)}. {_mend(rule, found)}; nothing is kept"
    )


def _seen(found: Mapping[str, Any]) -> str:
    if not found["trials"]:
        return f"no threshold keeps the {found['fewest']} documents that a certificate needs"
    first = found["trials"][0]
    return f"of {first['labels']} labels from a score of {first['threshold']} upward {first['positives']} are positive"


def _mend(rule: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    if not found["needed"]:
        return "Lower keep.precision, or improve the encoder with more annotations"
    if rule["design"] == "anytime":
        return f"Raise keep.labels to some {found['needed']} (labels that were asked are kept), or lower keep.precision"
    return f"Set keep.design to anytime and keep.labels to some {found['needed']}, or lower keep.precision"


class _Label:
    """Labels by place in the random order, as far as they were asked for."""

    def __init__(self, run: OpenRun, documents: Mapping[int, Any]) -> None:
        scoring = ScoringConfig.model_validate_json(json.dumps(run.config["annotator"]))
        question = scoring.question.resolve(rubric_text(run.optional_input(RubricResult)), run.annotator)
        judge = Judge.of(scoring.parsing)
        self._scorer = DocumentScorer(run.annotator, question, judge, run.answers, run.output.scratch)
        self._documents = documents
        self._positive_from = run.config["positive_from"]
        self.scores: dict[int, float | None] = {}

    def ask(self, places: Sequence[int], bar: Any) -> list[bool]:
        scores = self._scorer.scores_of((self._documents[place] for place in places), bar)
        self.scores.update(zip(places, scores, strict=True))
        return [score is not None and score >= self._positive_from for score in scores]


def _rows(drawn: Drawn, scores: Mapping[int, float | None], positive_from: float) -> Iterator[dict[str, Any]]:
    for place in sorted(scores):
        expected = scores[place]
        positive = expected is not None and expected >= positive_from
        yield {**drawn.rows.row(place, named=True), "place": place, "expected_score": expected, "positive": positive}
