"""Asks the annotator about the sample: a first round at random, a second one spent where a pilot encoder says it helps.

Answers are written in shards of 64, each whole before the next is asked: what a killed run loses is at most one shard,
some 20 s of two cores. The second round is drawn from what the first wrote, so that it is the same after a restart.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import polars as pl

from datashop_assets.annotations.design import Design, plan_rounds
from datashop_assets.annotations.draws import Drawn, first_round, second_round
from datashop_assets.annotations.metrics import metrics_of
from datashop_assets.annotations.pilot import pilot_scores
from datashop_assets.annotations.question import question_of, rubric_of
from datashop_assets.processors.judging import Judge, judge_of
from datashop_assets.protocols.annotator import Annotator, Answer, Asked, Question
from datashop_assets.protocols.progress import Bar
from datashop_assets.stage import Metrics, StageTask
from datashop_assets.storage.shards import read_rows

SHARD_DOCUMENTS = 64
SCHEMA = {
    "id": pl.String,
    "source": pl.String,
    "text": pl.String,  # what the annotator read, and the encoder will
    "characters": pl.Int64,  # of the whole document
    "status": pl.String,
    "reason": pl.String,
    "raw": pl.String,
    "score": pl.Int8,
    "expected_score": pl.Float64,
    "cut": pl.Boolean,
    "tokens_in": pl.Int64,
    "tokens_out": pl.Int64,
    "seconds": pl.Float64,
    "round": pl.Int8,
    "stratum": pl.Int8,
    "draw_probability": pl.Float64,
    "probability": pl.Float64,  # one over it is how many documents of the sample the row stands for; see design.py
}
VOLATILE = ("seconds",)


def build(task: StageTask) -> Metrics:
    """One row for every document asked, in `round<n>-<nnn>.parquet`. For the metrics see `metrics_of`.

    Raises `ValueError` without an annotator or without documents.
    """
    if task.tools.annotator is None:
        raise ValueError("annotations need an annotator; give one in Tools(annotator=...)")
    sample = list(task.inputs["annotation_sample"].rows("sample.parquet"))
    second = task.config["second_round"]
    design = plan_rounds(len(sample), task.config["documents"], second["documents"], second["strata"])
    answers, pilot = _ask_both_rounds(task, task.tools.annotator, sample, design)
    return {**metrics_of(answers, len(sample)), "pilot": pilot}


def _ask_both_rounds(
    task: StageTask, annotator: Annotator, sample: Sequence[Any], design: Design
) -> tuple[list[dict[str, Any]], str]:
    """All answers, and how the second round was drawn."""
    question = question_of(task.config["asked"], rubric_of(task), annotator)
    judge = judge_of(task.config["parsing"])
    first, rest = first_round(sample, design)
    second = sum(stratum.drawn for stratum in design.strata)
    with task.tools.progress.bar("annotations", len(first) + second, "documents") as bar:
        answers = list(_ask(task, annotator, question, judge, first, bar))
        if not second:
            return answers, "not asked"
        scores = pilot_scores(answers, [row["text"] for row in rest], question.reading, task.output.scratch)
        drawn = second_round(rest, scores or [0.0] * len(rest), design)
        answers += _ask(task, annotator, question, judge, drawn, bar)
    return (
        answers,
        "strata of its score" if scores else "none: the first round's answers are all alike; drawn at random",
    )


def _ask(
    task: StageTask, annotator: Annotator, question: Question, judge: Judge, drawn: Iterable[Drawn], bar: Bar
) -> Iterator[dict[str, Any]]:
    """Every answer of one round, from the shards: those that are there already, and those written now."""
    remaining = iter(drawn)
    for number, shard in enumerate(iter(lambda: list(islice(remaining, SHARD_DOCUMENTS)), [])):
        name = f"round{shard[0].round}-{number:03d}.parquet"
        if not task.output.finished(name):
            task.output.write_rows(name, _answers(annotator, question, judge, shard), SCHEMA, volatile=VOLATILE)
        with task.output.folder.open(name) as file:
            yield from read_rows(name, file)
        bar.advance(len(shard))


def _answers(
    annotator: Annotator, question: Question, judge: Judge, shard: Sequence[Drawn]
) -> Iterator[dict[str, Any]]:
    asked = [Asked(one.row["id"], one.row["text"], one.row["source"]) for one in shard]
    answers = {answer.id: answer for answer in annotator.answer(asked, question)}
    for one in shard:
        yield _row(one, answers[one.row["id"]], judge)


def _row(drawn: Drawn, answer: Answer, judge: Judge) -> dict[str, Any]:
    verdict = judge.judge(answer)
    return {
        "id": answer.id,
        "source": drawn.row["source"],
        "text": answer.text,
        "characters": len(drawn.row["text"]),
        "status": str(verdict.status),
        "reason": verdict.reason,
        "raw": answer.raw,
        "score": verdict.score,
        "expected_score": verdict.expected_score,
        "cut": answer.cut,
        "tokens_in": answer.tokens_in,
        "tokens_out": answer.tokens_out,
        "seconds": answer.seconds,
        "round": drawn.round,
        "stratum": drawn.stratum,
        "draw_probability": drawn.draw_probability,
        "probability": 1 / drawn.weight,
    }
