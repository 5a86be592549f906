"""A budget stops annotation cleanly: what was answered is kept, and a larger budget goes on from there."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datashop_assets.annotations.describe import describe_annotations
from datashop_assets.annotations.results import AnnotationsConfig, AnnotationsResult
from datashop_assets.annotations.steps import annotations
from datashop_assets.asking.spending import Spending, SpendingLimits
from datashop_assets.asking.store import AnswerStore, from_line
from datashop_assets.asking.usage import TokensSpent
from datashop_assets.core.step import StepOutput
from datashop_assets.prompts.prompt import parse_prompt
from datashop_assets.protocols.annotator import AnnotationRequest, Answer, Ended, Question, Reading, Sampling
from datashop_assets.storage.folders import Folder
from datashop_assets_tests.annotations.annotators import WordCounter
from datashop_assets_tests.annotations.conftest import CONFIG, ONE_ROUND, WRITTEN, Inputs, annotate

PROMPT = "Is {example} mathematics? $\\sum_{k}$"


def run(root: Path, inputs: Inputs, annotator: WordCounter, **limits: Any) -> StepOutput[AnnotationsResult]:
    return annotate(root, "annotations", CONFIG, inputs, annotator, limits=SpendingLimits(**limits))


class SeveralAtOnce(WordCounter):
    """Takes up to 64 requests before it answers the first, as endpoints do."""

    def answer(self, asked: Iterable[AnnotationRequest], question: Question) -> Iterator[Answer]:
        remaining = iter(asked)
        while taken := list(islice(remaining, 64)):
            yield from super().answer(taken, question)


class WithoutUsage(SeveralAtOnce):
    """Its server does not say how many tokens it read and wrote."""

    def _answer(self, one: AnnotationRequest, question: Question) -> Answer:
        return replace(super()._answer(one, question), tokens_in=0, tokens_out=0)


class HalfOfUsage(SeveralAtOnce):
    """Its server says how many tokens it wrote, and not how many it read."""

    def _answer(self, one: AnnotationRequest, question: Question) -> Answer:
        return replace(super()._answer(one, question), tokens_in=0, tokens_out=3)


class OtherHalfOfUsage(SeveralAtOnce):
    """Its server says how many tokens it read, and not how many it wrote."""

    def _answer(self, one: AnnotationRequest, question: Question) -> Answer:
        return replace(super()._answer(one, question), tokens_in=9, tokens_out=0)


class Unlimited(SeveralAtOnce):
    """Its server ignores `max_tokens`. Some of its replies are of 1,000 tokens."""

    def _answer(self, one: AnnotationRequest, question: Question) -> Answer:
        return replace(super()._answer(one, question), tokens_out=1000 if len(self.requests) % 2 else 4)


@pytest.mark.parametrize("annotator", [WordCounter, SeveralAtOnce])
@pytest.mark.parametrize("limit", [200, 300, 1000, 2079])
def test_a_budget_is_not_overrun_and_answers_are_kept(
    tmp_path: Path, inputs: Inputs, annotator: type[WordCounter], limit: int
) -> None:
    """What a request may take at most is reserved before it is sent: 13 tokens a document, 160 documents."""
    with pytest.raises(ValueError, match=r"budget is reached \(tokens: [0-9,]+ spent of") as stopped:
        run(tmp_path, inputs, first := annotator(), tokens=limit)
    spent = 13 * len(first.requests)
    assert limit - 100 < spent <= limit, "what is left is less than one request may take"
    assert f"tokens: {spent:,} spent of {limit:,}, and the next request may take up to " in str(stopped.value)
    assert f"({len(first.requests)} were answered now)" in str(stopped.value)
    with pytest.raises(ValueError, match="budget is reached"):
        run(tmp_path, inputs, idle := annotator(), tokens=limit)
    assert 13 * (len(first.requests) + len(idle.requests)) <= limit
    made = run(tmp_path, inputs, last := annotator(), tokens=5000)
    assert len(first.requests) + len(idle.requests) + len(last.requests) == made.result.asked == 160


def test_every_document_that_is_not_asked_is_counted(tmp_path: Path, inputs: Inputs) -> None:
    with pytest.raises(ValueError, match="budget is reached") as stopped:
        run(tmp_path, inputs, first := SeveralAtOnce(), tokens=600)
    assert f"; {100 - len(first.requests)} documents are not asked" in str(stopped.value)  # of the first round


def test_a_group_is_asked_whole_or_not_at_all(tmp_path: Path, inputs: Inputs) -> None:
    with pytest.raises(ValueError, match="budget is reached"):
        run(tmp_path, inputs, grouped := WordCounter(group=8), tokens=900)
    assert len(grouped.requests) % 8 == 0
    assert 0 < 13 * len(grouped.requests) <= 900


def test_where_no_usage_is_reported_tokens_are_estimated_and_marked(tmp_path: Path, inputs: Inputs) -> None:
    with pytest.raises(ValueError, match=r"spent of 1,000, of which [0-9,]+ are estimated") as stopped:
        run(tmp_path, inputs, first := WithoutUsage(), tokens=1000)
    assert 0 < len(first.requests) < 100, stopped.value
    made = run(tmp_path, inputs, WithoutUsage(), tokens=100_000)
    result = made.result
    assert result.spent is not None
    assert (result.tokens_in, result.spent.reported, result.spent.without_usage) == (0, 0, 160)
    texts = [row["text"] for row in made.all_rows()]
    assert result.spent.estimated == sum(-(-(len("{example}?") + len(text)) // 3) + 1 for text in texts)
    assert (
        "Spent: 0 tokens, as servers report them. 160 answers are of a server that reports none"
        in describe_annotations(made)["how documents ended"]
    )
    counted = annotate(tmp_path / "counted", "annotations", CONFIG, inputs, WordCounter()).result
    assert counted.spent == TokensSpent(reported=counted.tokens_in + counted.tokens_out)


def test_where_half_of_the_usage_is_reported_the_rest_is_estimated(tmp_path: Path, inputs: Inputs) -> None:
    with pytest.raises(ValueError, match=r"spent of 1,000, of which [0-9,]+ are estimated") as stopped:
        run(tmp_path, inputs, first := HalfOfUsage(), tokens=1000)
    assert 0 < len(first.requests) < 100, stopped.value
    result = (made := run(tmp_path, inputs, HalfOfUsage(), tokens=100_000)).result
    assert result.spent is not None
    assert (result.tokens_in, result.tokens_out, result.spent.without_usage) == (0, 480, 160)
    assert result.spent.estimated == sum(-(-(len("{example}?") + len(row["text"])) // 3) for row in made.all_rows())


def test_a_written_half_that_is_not_reported_is_estimated_too(tmp_path: Path, inputs: Inputs) -> None:
    made = annotate(tmp_path, "annotations", WRITTEN, inputs, OtherHalfOfUsage())
    assert made.result.spent == TokensSpent(
        reported=900, without_usage=100, estimated=100 * -(-len("Final score: 3") // 3)
    )
    limits = SpendingLimits(tokens=1200)
    reached = annotate(tmp_path, "again", WRITTEN, inputs, OtherHalfOfUsage(), limits=limits).result.budget_reached
    assert reached == ["tokens: 1,400 spent of 1,200, of which 500 are estimated"]
    of_options = annotate(tmp_path / "options", "annotations", CONFIG, inputs, OtherHalfOfUsage()).result
    assert of_options.spent == TokensSpent(reported=160 * 9), "which write nothing"


@pytest.mark.parametrize("annotator", [WordCounter, WithoutUsage, HalfOfUsage, OtherHalfOfUsage])
@pytest.mark.parametrize("config", [CONFIG, WRITTEN])
def test_all_who_count_what_answers_took_agree(
    tmp_path: Path, inputs: Inputs, annotator: type[WordCounter], config: AnnotationsConfig
) -> None:
    made = annotate(tmp_path, "annotations", config, inputs, annotator())
    question = config.question.resolve(PROMPT, annotator())
    store = AnswerStore.of(Folder(f"{tmp_path}/answers"), question)
    budget = Spending.so_far(SpendingLimits(tokens=10**6), question, store, tmp_path)
    assert made.result.spent is not None
    assert made.result.spent == TokensSpent.of(question, [from_line(line) for _, line in store.lines()])
    assert (budget.tokens, budget.estimated) == (made.result.spent.total, made.result.spent.estimated)


@pytest.mark.parametrize("limit", [2000, 20_000, 50_000])
def test_a_server_that_ignores_the_limit_overruns_a_budget_by_what_was_under_way(
    tmp_path: Path, inputs: Inputs, limit: int
) -> None:
    with pytest.raises(ValueError, match="budget is reached"):
        annotate(tmp_path, "annotations", WRITTEN, inputs, first := Unlimited(), limits=SpendingLimits(tokens=limit))
    under_way = min(64, limit // (256 + 13))
    spent = sum(1013 if place % 2 == 0 else 13 for place in range(len(first.requests)))
    assert spent <= limit + under_way / 2 * (1000 - 256)
    with pytest.raises(ValueError, match="budget is reached"):
        annotate(tmp_path, "annotations", WRITTEN, inputs, again := Unlimited(), limits=SpendingLimits(tokens=limit))
    assert not again.requests, "a later run knows it from the answers"


def test_one_request_at_a_time_overruns_a_budget_once() -> None:
    question = Question("m", "", "generate", "Rate {example}", "", (), Sampling(max_tokens=20), Reading(100))
    spending = Spending(SpendingLimits(5000), question, _noted=float("inf"))
    asked = 0
    while spending.reserve([AnnotationRequest(str(asked), "text", "")]):
        answer = Answer(str(asked), Ended.COMPLETE, "", "x", None, "text", False, 9, 491, 0.0, "")
        spending.settle(answer)
        asked += 1
    assert (asked, spending.tokens) == (9, 4500), "the tenth might take more than 500"


def test_second_tries_that_report_no_usage_are_estimated_too(tmp_path: Path, inputs: Inputs) -> None:
    silent = WithoutUsage(says={"theorem": "I cannot say."})
    result = (made := annotate(tmp_path, "annotations", WRITTEN, inputs, silent)).result
    twice = [row for row in made.all_rows() if row["raw_repair"] is not None]
    assert 0 < len(twice) < result.asked
    assert result.spent is not None

    def estimate(text: str, reply: str) -> int:
        return -(-(len(PROMPT) + len(text.encode()) + len(reply)) // 3)

    first = sum(estimate(row["text"], row["raw"]) for row in made.all_rows())
    second = sum(estimate(row["text"] + row["raw"], row["raw_repair"]) for row in twice)
    assert result.spent.estimated == pytest.approx(first + second, abs=len(twice) + result.asked)


def test_a_stage_that_ends_at_its_budget_says_so(tmp_path: Path, inputs: Inputs) -> None:
    config = CONFIG.model_copy(update={"documents": 5, "second_round": ONE_ROUND})
    limits = SpendingLimits(hours=1e-9)
    with pytest.raises(ValueError, match=r"hours: .* spent of"):
        annotate(tmp_path, "annotations", config, inputs, WordCounter(), limits=limits)
    annotate(tmp_path, "annotations", config, inputs, WordCounter())
    reached = annotate(tmp_path, "again", config, inputs, WordCounter(), limits=limits).result
    assert [one.partition(":")[0] for one in reached.budget_reached] == ["hours"], "all had answers already"


@pytest.mark.parametrize("scoring", ["generate", "likelihood"])
@given(st.lists(st.tuples(st.text(max_size=60), st.floats(0.01, 1.0)), max_size=30), st.integers(0, 3000))
@settings(deadline=None, max_examples=60)
def test_whatever_is_asked_no_more_is_spent_than_the_limit(
    scoring: str, requests: list[tuple[str, float]], limit: int
) -> None:
    """Of each request `share` is what its tokens are of what they can be at most. All are under way at once."""
    writes = scoring == "generate"
    question = Question("m", "", scoring, "Rate {example}", "", (), Sampling(max_tokens=20), Reading(100))
    spending = Spending(SpendingLimits(limit), question, Path("unused"), _noted=float("inf"))
    under_way = []
    for place, (text, share) in enumerate(requests):
        request = AnnotationRequest(str(place), text, "")
        if spending.reserve([request]):
            size = len(b"Rate {example}") + len(text.encode("utf-8", "surrogatepass"))
            under_way.append((request, int(share * size), 20 if writes else 1))
    for request, read, written in under_way:
        spending.settle(Answer(request.id, Ended.COMPLETE, "", "", None, request.text, False, read, written, 0.0, ""))
    assert spending.tokens <= limit


def test_money_is_time_at_a_price(tmp_path: Path, inputs: Inputs) -> None:
    with pytest.raises(ValueError, match=r"money: .* spent of"):
        run(tmp_path, inputs, WordCounter(), money=1e-9, price_per_hour=10.0)


def test_with_and_without_a_budget_the_rows_are_the_same(tmp_path: Path, inputs: Inputs) -> None:
    whole = annotate(tmp_path / "whole", "annotations", CONFIG, inputs, WordCounter())
    with pytest.raises(ValueError, match="budget"):
        run(tmp_path / "part", inputs, WordCounter(), tokens=700)
    resumed = annotate(tmp_path / "part", "annotations", CONFIG, inputs, WordCounter())

    assert resumed.manifest.content_digest == whole.manifest.content_digest


def test_a_budget_changes_no_digest_and_takes_its_price_from_the_table(tmp_path: Path) -> None:
    def prompt(**annotator: Any) -> Any:
        fields = {"name": "x", "rubric": "{example}", "annotator": {"scoring": "generate", **annotator}}
        return parse_prompt(fields, "x", "x.yaml")

    with_budget = prompt(budget={"money": 5.0, "hardware": "v6e-8"})
    assert annotations.configure(with_budget) == annotations.configure(prompt())
    price = annotations.limits(with_budget, None).price_per_hour
    assert price is not None
    assert price > 0
    with pytest.raises(ValueError, match="no hardware 'abacus'"):
        annotations.limits(prompt(budget={"money": 5.0, "hardware": "abacus"}), None)
    own = tmp_path / "prices.yaml"
    own.write_text("currency: EUR\nhardware: {abacus: {price_per_hour: 7}}\nstages: {default: abacus}\n")
    assert annotations.limits(prompt(budget={"money": 5.0}), own) == SpendingLimits(money=5.0, price_per_hour=7.0)
    with pytest.raises(ValueError, match=rf"no hardware 'v6e-8' in {own}"):
        annotations.limits(with_budget, own)
