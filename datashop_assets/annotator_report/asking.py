"""Asking again: the same annotator with another seed, or a second one, about documents that are annotated already."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from datashop_assets.annotations.question import question_of, rubric_of
from datashop_assets.annotations.sample import documents
from datashop_assets.annotations.scores import asked_scores
from datashop_assets.annotator_report.agreement import agreement
from datashop_assets.core.step import OpenRun
from datashop_assets.processors.judging import Judge, judge_of
from datashop_assets.protocols.annotator import AnnotationRequest, Question
from datashop_assets.storage.digests import keyed_hash

Row = Mapping[str, Any]
WHY = {"likelihood": "by likelihood the same question always has the same answer"}
MEND = "set annotator.report.again to ask all the same"


def again(run: OpenRun, rows: Sequence[Row]) -> dict[str, Any]:
    """Self-agreement: the same question with another seed. `note` says why where it is not asked."""
    wanted = run.config["again"]
    if not wanted["documents"]:
        return {"documents": 0, "note": f"not asked: {WHY.get(run.config['asked']['scoring'], 'again is 0')}; {MEND}"}
    question = _question(run, run.config["asked"])
    other = replace(question, sampling=replace(question.sampling, seed=question.sampling.seed + wanted["seed"]))
    return _compared(run, other, judge_of(run.config["parsing"]), drawn(rows, wanted["documents"]))


def second(run: OpenRun, rows: Sequence[Row]) -> dict[str, Any] | None:
    """Agreement with the second annotator; None where none is named."""
    if (wanted := run.config["second"]) is None:
        return None
    question = _question(run, wanted["asked"])
    found = _compared(run, question, judge_of(wanted["parsing"]), drawn(rows, wanted["documents"]))
    return {"model": question.model, "revision": question.revision, "scoring": question.scoring, **found}


def drawn(rows: Sequence[Row], count: int) -> list[Row]:
    """At random among scored documents, by the hash of their content."""
    scored = [row for row in rows if row["expected_score"] is not None]
    return sorted(scored, key=lambda row: keyed_hash("annotator report", row["content"]))[:count]


def _question(run: OpenRun, asked: Mapping[str, Any]) -> Question:
    if run.resources.annotator is None:
        raise ValueError("an annotator's report asks again and needs it; give one in Resources(annotator=...)")
    return question_of(asked, rubric_of(run), run.resources.annotator)


def _compared(run: OpenRun, question: Question, judge: Judge, rows: Sequence[Row]) -> dict[str, Any]:
    scores = _scores(run, question, judge, [row["content"] for row in rows])
    both = [(row, score) for row in rows if (score := scores[row["content"]]) is not None]
    first, other, weights = (
        np.array(values, dtype=np.float64)
        for values in (
            [row["expected_score"] for row, _ in both],
            [score for _, score in both],
            [1 / row["probability"] for row, _ in both],
        )
    )
    return {"asked": len(rows), "without_score": len(rows) - len(both), **agreement(first, other, weights)}


def _scores(run: OpenRun, question: Question, judge: Judge, contents: Sequence[str]) -> dict[str, float | None]:
    rows = documents(run.inputs["annotation_sample"], set(contents))
    asked = ((row["content"], AnnotationRequest(row["id"], row["text"], row["source"])) for row in rows)
    with run.resources.progress.bar("asking again", len(contents), "documents") as bar:
        return asked_scores(run, question, judge, contents, asked, bar=bar)
