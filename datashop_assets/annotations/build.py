"""Asks the annotator about the sample: a first round at random, a second one spent where a ranking says it helps.

Answers go to the answer store as they come; rows are put together from it when a round is asked, so that they do not
depend on the order of arrival, and a run that goes on, or reads replies otherwise, asks nothing twice.
"""

import logging
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from datashop_assets.annotations.design import Design, DrawnDocument, Row, design_of, documents, first_round, index_of
from datashop_assets.annotations.design import second_round as draw_second_round
from datashop_assets.annotations.ranking import first_pass_scores, first_pass_spent, pilot_scores
from datashop_assets.annotations.results import AnnotationDigests, AnnotationsConfig, AnnotationsResult
from datashop_assets.annotations.rows import SCHEMA, VOLATILE, drawn_of, row_of, summarize
from datashop_assets.asking.collecting import AnswerCollector, AskingStoppedError
from datashop_assets.asking.replies import Judge
from datashop_assets.asking.spending import Spending
from datashop_assets.asking.store import AnswerStore, answers_in_order, batch_size, content_of
from datashop_assets.asking.turns import turn_of
from datashop_assets.asking.usage import TokensSpent
from datashop_assets.core.step import AnsweredBy, StepRun
from datashop_assets.documents.results import AnnotationSampleResult
from datashop_assets.printable import printable_line
from datashop_assets.prompts.annotator_settings import QuestionRankingConfig
from datashop_assets.protocols.annotator import AnnotationRequest, Answer, Question, Status
from datashop_assets.protocols.progress import Bar
from datashop_assets.rubric.results import RubricResult, rubric_text
from datashop_assets.storage.digests import digest_of
from datashop_assets.storage.shards import read_rows

SHOWN_REPLIES, SHOWN_REPLY = 2, 120  # in an error; characters of a reply's end
ENOUGH = 30  # scores of the first round, all alike, after which nothing more is asked
NOT_ASKED, KEPT = "not asked", "the draws of the run before, kept"
BY_SCORE, BY_FIRST_PASS = "strata of its score", "strata of the first pass's score"
ALIKE = "none: the first round's answers are all alike; drawn at random"
logger = logging.getLogger("datashop.annotations")  # which Dagster shows, and the terminal as lines

Run = StepRun[AnnotationsConfig]


def build(run: Run) -> AnnotationsResult:
    """One row for every document asked, in `round<n>-<nnn>.parquet`.

    A finished output that is taken up again keeps its draws and asks about the documents whose calls failed. Raises
    `ValueError` without an annotator or without documents, and where the budget is reached.
    """
    config, annotator = run.config, run.annotator
    question = config.question.resolve(rubric_text(run.optional_input(RubricResult)), annotator)
    store = AnswerStore.of(run.answers, question)
    spending = Spending.so_far(run.limits, question, store, run.output.scratch)
    collector = AnswerCollector(annotator, question, store, spending)
    rounds = Rounds(run, collector, Judge.of(config.parsing))
    index = index_of(run.input(AnnotationSampleResult))
    design = design_of(len(index), config)
    with run.resources.progress.bar("annotations", design.asked, "documents") as bar:
        try:
            pilot = _annotate(rounds, index, design, bar)
        except AskingStoppedError as stop:
            raise spending.stopped(collector.asked, stop.unasked) from stop
    rows = (row for number, count in design.rounds for row in rounds.read(number, count))
    summary, spent = summarize(rows, len(index), question)
    if reached := spending.said():
        logger.warning("annotations: annotator.budget is reached (%s), with all documents asked", "; ".join(reached))
    return AnnotationsResult(
        **summary.model_dump(),
        answered_by=AnsweredBy(model=question.model, revision=question.revision, pinned=bool(config.question.revision)),
        failed_calls=summary.by_status[Status.FAILED],
        scoring=question.scoring,
        pilot=pilot,
        asked_now=collector.asked,
        seconds_asking=round(spending.seconds, 1),
        spent=spent + TokensSpent(lost=store.lost_tokens()),
        first_pass=first_pass_spent(run, config.cascade, [row["content"] for row in first_round(index, design)[1]])
        if design.second and isinstance(config.cascade, QuestionRankingConfig)
        else None,
        budget_reached=reached,
        damaged_parts=list(store.damaged),
        digests=_digests(question, config),
    )


def _digests(question: Question, config: AnnotationsConfig) -> AnnotationDigests:
    parsing = config.parsing.model_dump(mode="json")
    return AnnotationDigests(generation=question.digest, parsing=digest_of([question.digest, parsing]))


def _annotate(rounds: "Rounds", index: Sequence[Row], design: Design, bar: Bar) -> str:
    """Both rounds. Returns how the second was drawn."""
    again = all(rounds.complete(number, count) for number, count in design.rounds)
    first, rest = first_round(index, design)
    if again or not rounds.complete(1, len(first)):
        rounds.annotate(first, bar)
    else:
        bar.skip(len(first))
    if not design.second:
        return NOT_ASKED
    if again:
        rounds.annotate([drawn_of(row) for row in rounds.read(2, design.second)], bar)
        return KEPT
    drawn, said = _second_round(rounds, rest, design)
    rounds.annotate(drawn, bar)
    return said


def _second_round(rounds: "Rounds", rest: Sequence[Row], design: Design) -> tuple[list[DrawnDocument], str]:
    run, contents = rounds.run, [row["content"] for row in rest]
    texts = ((row["content"], row["text"]) for row in rounds.documents(set(contents)))
    if run.config.cascade is not None:
        ranked = first_pass_scores(run, run.config.cascade, contents, texts)
        return draw_second_round(rest, [ranked[content] for content in contents], design), BY_FIRST_PASS
    refuse_alike(rounds.read(1, design.first.drawn))
    scores = pilot_scores(run, rounds.read(1, design.first.drawn), texts, rounds.collector.question.reading)
    ordered = [scores[content] if scores else 0.0 for content in contents]
    return draw_second_round(rest, ordered, design), BY_SCORE if scores else ALIKE


def refuse_alike(answers: Iterable[Mapping[str, Any]]) -> None:
    """Raises `ValueError` where a first round's scores are all the same: a second would be paid for in vain."""
    count, scores = 0, set[float]()
    replies: list[str] = []
    for answer in answers:
        if (score := answer["expected_score"]) is None:
            continue
        count += 1
        scores.add(score)
        if len(scores) > 1:
            return
        if len(replies) < SHOWN_REPLIES:
            replies.append(printable_line(answer["raw"])[-SHOWN_REPLY:])
    if count < ENOUGH:
        return
    shown = "; ".join(replies)
    raise ValueError(
        f"all {count} documents of the first round have the score {scores.pop():g}, so that there "
        f"is nothing to learn; the second round was not asked. Replies such as: {shown}. Ask a question that tells "
        "documents apart, or a model that can answer it; the answers so far are kept"
    )


@dataclass(frozen=True)
class Rounds:
    """Asks and writes the rounds of one output, in `round<n>-<nnn>.parquet`."""

    run: Run
    collector: AnswerCollector
    judge: Judge

    def annotate(self, drawn: Sequence[DrawnDocument], bar: Bar) -> None:
        """Asks about documents that have no answer yet, and writes a row for each of `drawn`, in that order."""
        contents = {one.row["content"] for one in drawn}
        self.collector.ask(((row["content"], _request(row)) for row in self.documents(contents)), bar)
        self._repair(drawn)
        self._write(drawn)

    def complete(self, number: int, count: int) -> bool:
        """Whether all rows of a round of `count` documents are written."""
        return all(map(self.run.output.finished, _names(number, count)))

    def read(self, number: int, count: int) -> Iterator[dict[str, Any]]:
        """The rows of a complete round."""
        for name in _names(number, count):
            with self.run.output.folder.open(name) as file:
                yield from read_rows(name, file)

    def documents(self, contents: Container[str]) -> Iterator[Row]:
        """The documents of the sample with these contents, read in a stream."""
        return documents(self.run.input(AnnotationSampleResult), contents)

    def _repair(self, drawn: Sequence[DrawnDocument]) -> None:
        """Second tries, for replies that hold no score. Memory holds those replies, and no others."""
        if not (offered := self.judge.answers):
            return
        before = {
            key: turn_of(answer.raw).answer  # what it was thinking is not said again
            for answers in self._answers(drawn)
            for key, answer in answers.items()
            if key == content_of(key) and self.judge.needs_repair(self.judge.judge(answer))
        }
        if not before:  # asking would read the whole store for nothing
            return
        again = (
            (row["content"], replace(_request(row), constrain=offered, before=before[row["content"]]))
            for row in self.documents(before)
        )
        with self.run.resources.progress.bar("second tries", len(before), "documents") as bar:
            self.collector.ask(again, bar)

    def _write(self, drawn: Sequence[DrawnDocument]) -> None:
        size = batch_size(len(drawn))
        batches = (drawn[start : start + size] for start in range(0, len(drawn), size))
        for name, batch, answers in zip(_names(drawn[0].round, len(drawn)), batches, self._answers(drawn), strict=True):
            rows = (row_of(one, answers, self.collector.failures, self.judge) for one in batch)
            self.run.output.write_rows(name, rows, SCHEMA, volatile=VOLATILE)

    def _answers(self, drawn: Sequence[DrawnDocument]) -> Iterator[dict[str, Answer]]:
        contents = [one.row["content"] for one in drawn]
        return answers_in_order(self.collector.store, contents, self.run.output.scratch)


def _request(row: Row) -> AnnotationRequest:
    return AnnotationRequest(row["id"], row["text"], row["source"])


def _names(number: int, count: int) -> list[str]:
    return [f"round{number}-{batch:03d}.parquet" for batch in range(-(-count // batch_size(count)))]
