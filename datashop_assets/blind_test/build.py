"""Builds `blind_test`: whether the annotator, shown documents from both sides of the cut, can tell which was kept.

An annotator that writes is shown both documents of a pair in one question and chooses. One that answers in
probabilities scores each by the prompt's own question, and the higher expected score is its choice. Every pair ends as
right, wrong or abstained, with a reason: a tie, a reply without a choice, a refusal, a pair that was cut because the
model takes less, a failed call. Failed calls, and what the budget left no room for, are asked again by the next run.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from datashop_assets.annotations.results import AnnotationsResult
from datashop_assets.asking.collecting import UNANSWERED, AnswerCollector, AskingStoppedError
from datashop_assets.asking.replies import Judge, Judgement, kind_of
from datashop_assets.asking.spending import Spending
from datashop_assets.asking.store import AnswerStore
from datashop_assets.asking.usage import TokensSpent
from datashop_assets.blind_test.choice import FIRST, ForcedChoice, question_of_two, shown
from datashop_assets.blind_test.pairs import Pair, draw_pairs
from datashop_assets.blind_test.results import PAIRS, BlindTestConfig, BlindTestResult, Outcome, Tally
from datashop_assets.core.step import AnsweredBy, StepRun
from datashop_assets.documents.pool import read_places
from datashop_assets.documents.results import PretrainingPoolResult
from datashop_assets.excerpts import excerpt
from datashop_assets.filtered_pool.results import FilteredPoolResult
from datashop_assets.protocols.annotator import AnnotationRequest, Answer, Question, Status, failed_answer
from datashop_assets.rubric.results import RubricResult, rubric_text
from datashop_assets.statistics.figure import Figure
from datashop_assets.statistics.intervals import exact_interval
from datashop_assets.storage.digests import digest_of_bytes

SCHEMA = {
    "outcome": pl.String,
    "reason": pl.String,  # of an abstention
    "source": pl.String,
    "kept_first": pl.Boolean,  # whether the kept document was shown first, by choice
    "kept_expected": pl.Float64,  # the annotator's expected scores, by scores
    "other_expected": pl.Float64,
    "raw": pl.String,  # the reply, by choice
    **{
        f"{side}_{name}": kind
        for side in ("kept", "other")
        for name, kind in {
            "id": pl.String,
            "shard": pl.String,
            "row": pl.Int64,
            "characters": pl.Int64,
            "score": pl.Float64,  # the encoder's
            "text": pl.String,  # as far as it is read
        }.items()
    },
}
NOT_ASKED = "not asked: annotator.budget is reached"
CUT = "cut: the model takes less than both documents"
TIE = "tie: both documents have the same expected score"
Run = StepRun[BlindTestConfig]


@dataclass(frozen=True, slots=True)
class PairOutcome:
    """What became of a pair."""

    pair: Pair
    outcome: Outcome
    reason: str = ""
    expected: tuple[float | None, float | None] = (None, None)  # of the kept document and of the other
    raw: str | None = None


@dataclass(frozen=True, slots=True)
class JudgedAnswer:
    answer: Answer
    judgement: Judgement


@dataclass(frozen=True, slots=True)
class JudgedAnswers:
    """Answers by the digest of what was shown, and the tokens that they took."""

    answers: Mapping[str, JudgedAnswer]
    spent: TokensSpent


def build(run: Run) -> BlindTestResult:
    """Writes `pairs.parquet`. Raises `ValueError` without an annotator, or where it cannot be asked this question."""
    pool, wanted = run.input(PretrainingPoolResult), run.config.pairs
    annotated = run.input(AnnotationsResult).table(columns=["content"])["content"]
    drawn = draw_pairs(pool, run.input(FilteredPoolResult), annotated, wanted)
    places = (side.place for pair in drawn.pairs for side in (pair.kept, pair.other))
    texts = {place: document.text for place, document in read_places(pool, places).items()}
    own = run.config.question.resolve(rubric_text(run.optional_input(RubricResult)), run.annotator)
    if run.config.options is None:
        outcomes, asked = _by_choice(run, own, drawn.pairs, texts)
    else:
        outcomes, asked = _by_scores(run, own, Judge.of(run.config.options), drawn.pairs, texts)
    run.output.write_rows(PAIRS, _rows(outcomes, texts, own), SCHEMA)
    by_choice, counts = run.config.options is None, Counter(one.outcome for one in outcomes)
    chosen = [one for one in outcomes if one.outcome != "abstained"]
    first = sum(one.pair.kept_first == (one.outcome == "right") for one in chosen)
    answered_by = AnsweredBy(model=own.model, revision=own.revision, pinned=bool(run.config.question.revision))
    return BlindTestResult(
        answered_by=answered_by if outcomes else None,
        failed_calls=sum(one.judgement.status is Status.FAILED for one in asked.answers.values()),
        spent=asked.spent,
        method="choice" if by_choice else "scores",
        wanted=wanted,
        pairs=len(outcomes),
        unmatched=drawn.unmatched,
        right=counts["right"],
        wrong=counts["wrong"],
        abstained=dict(Counter(one.reason for one in outcomes if one.outcome == "abstained").most_common()),
        share_right=_share(counts["right"], len(chosen)),
        by_source={
            source: tally(one for one in outcomes if one.pair.kept.source == source)
            for source in sorted({one.pair.kept.source for one in outcomes})
        },
        chose_first=_share(first, len(chosen)) if by_choice else None,
        by_place_of_kept={
            "first": tally(one for one in outcomes if one.pair.kept_first),
            "second": tally(one for one in outcomes if not one.pair.kept_first),
        }
        if by_choice
        else {},
        tokens=asked.spent.reported,
    )


def _by_choice(
    run: Run, own: Question, pairs: Sequence[Pair], texts: Mapping[tuple[str, int], str]
) -> tuple[list[PairOutcome], JudgedAnswers]:
    """Each pair in one question. `own` is the prompt's question about one document."""
    both = [
        shown(texts[first.place], texts[second.place], own.reading)
        for first, second in ((one.kept, one.other) if one.kept_first else (one.other, one.kept) for one in pairs)
    ]
    requests = [AnnotationRequest("", text, one.kept.source) for text, one in zip(both, pairs, strict=True)]
    asked = _asked(run, question_of_two(own), Judge(ForcedChoice(), {}), requests)

    def outcome(pair: Pair, given: JudgedAnswer) -> PairOutcome:
        judgement, raw = given.judgement, given.answer.raw
        if judgement.expected_score is None:
            return PairOutcome(pair, "abstained", _reason(judgement), raw=raw)
        if given.answer.cut:
            return PairOutcome(pair, "abstained", CUT, raw=raw)
        right = (judgement.expected_score == FIRST) == pair.kept_first
        return PairOutcome(pair, "right" if right else "wrong", raw=raw)

    return [outcome(pair, asked.answers[_key(text)]) for pair, text in zip(pairs, both, strict=True)], asked


def _by_scores(
    run: Run, own: Question, judge: Judge, pairs: Sequence[Pair], texts: Mapping[tuple[str, int], str]
) -> tuple[list[PairOutcome], JudgedAnswers]:
    """Each document by the prompt's own question; the higher expected score is the choice."""
    sides = [side for pair in pairs for side in (pair.kept, pair.other)]
    requests = [AnnotationRequest(side.id, texts[side.place], side.source) for side in sides]
    asked = _asked(run, own, judge, requests)

    def outcome(pair: Pair) -> PairOutcome:
        kept, other = (asked.answers[_key(texts[side.place])].judgement for side in (pair.kept, pair.other))
        expected = kept.expected_score, other.expected_score
        if kept.expected_score is None or other.expected_score is None:
            unread = kept if kept.expected_score is None else other
            return PairOutcome(pair, "abstained", _reason(unread), expected)
        if kept.expected_score == other.expected_score:
            return PairOutcome(pair, "abstained", TIE, expected)
        return PairOutcome(pair, "right" if kept.expected_score > other.expected_score else "wrong", "", expected)

    return [outcome(pair) for pair in pairs], asked


def _asked(run: Run, question: Question, judge: Judge, requests: Sequence[AnnotationRequest]) -> JudgedAnswers:
    """Through the answer store: what has an answer is not asked again, and what the budget has no room for not yet."""
    store = AnswerStore.of(run.answers, question)
    spending = Spending.so_far(run.limits, question, store, run.output.scratch)
    collector, missing = AnswerCollector(run.annotator, question, store, spending), UNANSWERED
    keys = [_key(one.text) for one in requests]
    with run.resources.progress.bar("blind test", len(requests), "questions") as bar:
        try:
            collector.ask(zip(keys, requests, strict=True), bar)
        except AskingStoppedError:
            missing = NOT_ASKED
    stored = store.answers(set(keys))
    answers = {key: stored.get(key) or failed_answer(key, collector.failures.get(key, missing)) for key in keys}
    judged = {key: JudgedAnswer(answer, judge.judge(answer)) for key, answer in answers.items()}
    return JudgedAnswers(judged, TokensSpent.of(question, answers.values(), store.lost_tokens()))


def _key(text: str) -> str:
    return digest_of_bytes(text.encode())


def _reason(judgement: Judgement) -> str:
    kind = kind_of(judgement.reason)
    return NOT_ASKED if kind == NOT_ASKED else f"{judgement.status}: {kind}"


def _rows(
    outcomes: Iterable[PairOutcome], texts: Mapping[tuple[str, int], str], own: Question
) -> Iterator[dict[str, Any]]:
    reading = own.reading
    for one in outcomes:
        sides = {"kept": one.pair.kept, "other": one.pair.other}
        beside = {
            f"{side}_{name}": value
            for side, document in sides.items()
            for name, value in {
                "id": document.id,
                "shard": document.shard,
                "row": document.row,
                "characters": document.characters,
                "score": document.score,
                "text": excerpt(texts[document.place], reading.characters, reading.part)[0],
            }.items()
        }
        kept, other = one.expected
        yield {
            "outcome": one.outcome,
            "reason": one.reason,
            "source": one.pair.kept.source,
            "kept_first": one.pair.kept_first,
            "kept_expected": kept,
            "other_expected": other,
            "raw": one.raw,
            **beside,
        }


def tally(outcomes: Iterable[PairOutcome]) -> Tally:
    counts = Counter(one.outcome for one in outcomes)
    right, chosen = counts["right"], counts["right"] + counts["wrong"]
    return Tally(pairs=counts.total(), right=right, abstained=counts["abstained"], share_right=_share(right, chosen))


def _share(count: int, size: int) -> Figure | None:
    """A share of pairs with Clopper and Pearson's interval, which is honest where pairs are few."""
    if not size:
        return None
    low, high = exact_interval(count, size)
    return Figure(value=count / size, low=low, high=high, n=size, unit="pairs")
