"""Asks the annotator about the sample: a first round at random, a second one spent where a ranking says it helps.

Answers go to the answer store as they come; rows are put together from it when a round is asked, so that they do not
depend on the order of arrival, and a run that goes on, or reads replies otherwise, asks nothing twice.
"""

import time
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from datashop_assets.annotations.design import Design, Drawn, Row, design_of, documents, first_round, index_of
from datashop_assets.annotations.design import second_round as draw_second_round
from datashop_assets.annotations.ranking import first_pass_scores, pilot_scores
from datashop_assets.annotations.results import AnnotationDigests, AnnotationsConfig, AnnotationsResult
from datashop_assets.annotations.rows import SCHEMA, VOLATILE, drawn_of, row_of, summarize
from datashop_assets.asking.collecting import AnswerCollector, AskingStoppedError
from datashop_assets.asking.replies import Judge
from datashop_assets.asking.store import AnswerStore, answers_in_order, content_of, from_line, lot_size
from datashop_assets.core.step import AnsweredBy, StepRun
from datashop_assets.documents.results import AnnotationSampleResult
from datashop_assets.protocols.annotator import AnnotationRequest, Answer, Question, Status
from datashop_assets.protocols.progress import Bar
from datashop_assets.rubric.results import RubricResult, rubric_text
from datashop_assets.storage.digests import digest_of
from datashop_assets.storage.shards import read_rows

NOT_ASKED, KEPT = "not asked", "the draws of the run before, kept"
BY_SCORE, BY_FIRST_PASS = "strata of its score", "strata of the first pass's score"
ALIKE = "none: the first round's answers are all alike; drawn at random"
HOUR = 3600.0
SPENT = "spent.json"  # how long was asked so far, written every so many seconds:
NOTED_EVERY = 10.0

Run = StepRun[AnnotationsConfig]


def build(run: Run) -> AnnotationsResult:
    """One row for every document asked, in `round<n>-<nnn>.parquet`.

    A finished output that is taken up again keeps its draws and asks about the documents whose calls failed. Raises
    `ValueError` without an annotator or without documents, and where the budget is reached.
    """
    config, annotator = run.config, run.annotator
    question = config.question.resolve(rubric_text(run.optional_input(RubricResult)), annotator)
    store = AnswerStore.of(run.answers, question)
    spending = Spending.so_far(run.limits, store, run.output.scratch)
    collector = AnswerCollector(annotator, question, store, watch=spending.watch, allows=spending.allows)
    rounds = Rounds(run, collector, Judge.of(config.parsing))
    index = index_of(run.input(AnnotationSampleResult))
    design = design_of(len(index), config)
    with run.resources.progress.bar("annotations", design.asked, "documents") as bar:
        try:
            pilot = _annotate(rounds, index, design, bar)
        except AskingStoppedError as stop:
            raise ValueError(spending.stopped(stop.unasked)) from stop
    summary = summarize((row for number, count in design.rounds for row in rounds.read(number, count)), len(index))
    return AnnotationsResult(
        **summary.model_dump(),
        answered_by=AnsweredBy(model=question.model, revision=question.revision, pinned=bool(config.question.revision)),
        failed_calls=summary.by_status[Status.FAILED],
        scoring=question.scoring,
        pilot=pilot,
        asked_now=collector.asked,
        seconds_asking=round(spending.seconds, 1),
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


def _second_round(rounds: "Rounds", rest: Sequence[Row], design: Design) -> tuple[list[Drawn], str]:
    run, contents = rounds.run, [row["content"] for row in rest]
    texts = ((row["content"], row["text"]) for row in rounds.documents(set(contents)))
    if run.config.cascade is not None:
        ranked = first_pass_scores(run, run.config.cascade, contents, texts)
        return draw_second_round(rest, [ranked[content] for content in contents], design), BY_FIRST_PASS
    answers, reading = rounds.read(1, design.first.drawn), rounds.collector.question.reading
    scores = pilot_scores(run, answers, texts, reading)
    ordered = [scores[content] if scores else 0.0 for content in contents]
    return draw_second_round(rest, ordered, design), BY_SCORE if scores else ALIKE


@dataclass(frozen=True)
class Rounds:
    """Asks and writes the rounds of one output, in `round<n>-<nnn>.parquet`."""

    run: Run
    collector: AnswerCollector
    judge: Judge

    def annotate(self, drawn: Sequence[Drawn], bar: Bar) -> None:
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

    def _repair(self, drawn: Sequence[Drawn]) -> None:
        """Second tries, for replies that hold no score. Memory holds those replies, and no others."""
        if not (offered := self.judge.answers):
            return
        before = {
            key: answer.raw
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

    def _write(self, drawn: Sequence[Drawn]) -> None:
        size = lot_size(len(drawn))
        lots = (drawn[start : start + size] for start in range(0, len(drawn), size))
        for name, lot, answers in zip(_names(drawn[0].round, len(drawn)), lots, self._answers(drawn), strict=True):
            rows = (row_of(one, answers, self.collector.failures, self.judge) for one in lot)
            self.run.output.write_rows(name, rows, SCHEMA, volatile=VOLATILE)

    def _answers(self, drawn: Sequence[Drawn]) -> Iterator[dict[str, Answer]]:
        contents = [one.row["content"] for one in drawn]
        return answers_in_order(self.collector.store, contents, self.run.output.scratch)


def _request(row: Row) -> AnnotationRequest:
    return AnnotationRequest(row["id"], row["text"], row["source"])


def _names(number: int, count: int) -> list[str]:
    return [f"round{number}-{lot:03d}.parquet" for lot in range(-(-count // lot_size(count)))]


@dataclass
class Spending:
    """What answers cost so far, over all runs, and whether more may be asked.

    `limits`: tokens, hours, money and price_per_hour, each a number or None. Tokens are counted from the answer store,
    hours by the clock while asking. The time of runs before stands in a small file beside the output.
    """

    limits: Mapping[str, Any]
    file: Path
    tokens: int = 0
    seconds_before: float = 0.0
    _started: float = field(default_factory=time.monotonic)
    _noted: float = 0.0

    @classmethod
    def so_far(cls, limits: Mapping[str, Any], store: AnswerStore, scratch: Path) -> "Spending":
        """With what the answers in the store have cost, where a budget asks for it."""
        file = scratch / SPENT
        before = float(orjson.loads(file.read_bytes())["seconds"]) if file.exists() else 0.0
        tokens = {key: _tokens(from_line(line)) for key, line in store.lines()} if limits.get("tokens") else {}
        return cls(limits, file, sum(tokens.values()), before)

    def watch(self, answer: Answer) -> None:
        self.tokens += _tokens(answer)
        if time.monotonic() - self._noted >= NOTED_EVERY:
            self.note()

    def note(self) -> None:
        self._noted = time.monotonic()
        unfinished = self.file.with_suffix(".unfinished")
        unfinished.write_bytes(orjson.dumps({"seconds": self.seconds}))
        unfinished.replace(self.file)

    @property
    def seconds(self) -> float:
        return self.seconds_before + time.monotonic() - self._started

    @property
    def spent(self) -> dict[str, float]:
        hours = self.seconds / HOUR
        return {"tokens": self.tokens, "hours": hours, "money": hours * float(self.limits.get("price_per_hour") or 0)}

    def allows(self) -> bool:
        return not self._reached()

    def stopped(self, unasked: int) -> str:
        """What to say when the budget stopped the asking."""
        self.note()
        spent = "; ".join(
            f"{what}: {self.spent[what]:,.4g} spent of {self.limits[what]:,.4g}" for what in self._reached()
        )
        return (
            f"annotator.budget is reached ({spent}); {unasked} documents are not asked and the stage is not finished. "
            "All answers are kept: raise the budget and run again, which asks only for the rest, or lower "
            "annotator.documents"
        )

    def _reached(self) -> list[str]:
        spent = self.spent
        limits = {what: self.limits.get(what) for what in spent}
        return [what for what, limit in limits.items() if limit is not None and spent[what] >= limit]


def _tokens(answer: Answer) -> int:
    return answer.tokens_in + answer.tokens_out
