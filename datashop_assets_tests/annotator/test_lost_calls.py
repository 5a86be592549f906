"""Calls that fail after a server may have processed them, and requests about an ordinary text, count in the budget."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from datashop_assets.asking.collecting import AnswerCollector, AskingStoppedError
from datashop_assets.asking.spending import NO_LIMITS, Spending, SpendingLimits
from datashop_assets.asking.store import AnswerStore
from datashop_assets.protocols.annotator import AnnotationRequest
from datashop_assets.protocols.progress import SilentBar
from datashop_assets.storage.folders import Folder
from datashop_assets_tests.annotator.behaviours import BehavingServer, Body, Reply, always, answered, models
from datashop_assets_tests.annotator.fleets import HASTY, QUESTION
from datashop_assets_tests.annotator.hostile_server import MODEL
from resources.annotator.endpoints.annotator import EndpointsAnnotator
from resources.annotator.endpoints.pacing import Policy

LISTED = models(MODEL)
SMALL = replace(HASTY, attempts=4, deadline=30.0, patience=30.0)  # a call that is late fails, too
HURRIED = replace(SMALL, deadline=2.0)
TAKES = 54  # tokens of an answer, as `answered` reports them
LOST = -(-(len("Rate this: {example}\nFinal score: N") + len("worth 1")) // 3) + 16  # of a call that failed
MOST = len("Rate this: {example}\nFinal score: N") + len("worth 1") + 64 + 16  # that one may take


class Step:
    """A step that asks 12 documents through the answer store, again and again."""

    def __init__(self, folder: Path) -> None:
        self.store, self.scratch = AnswerStore(Folder(str(folder / "answers"))), folder
        self.failures: dict[str, str] = {}

    def ask(self, url: str, tokens: int | None, documents: int = 12, policy: Policy = SMALL) -> Spending:
        """What it spent so far. Sets `failures`."""
        spending = Spending.so_far(SpendingLimits(tokens), QUESTION, self.store, self.scratch)
        collector = AnswerCollector(EndpointsAnnotator([url], policy), QUESTION, self.store, spending)
        requests = ((str(n), AnnotationRequest(str(n), f"worth {n % 6}", "made")) for n in range(documents))
        try:
            collector.ask(requests, SilentBar())
        finally:
            self.failures = collector.failures
        return spending


def every(kinds: int, reply: Reply) -> Reply:
    """Every so many requests are answered in this way, the others as they should."""
    return lambda asked, before: (reply if before % kinds == 0 else answered)(asked, before)


def late(asked: Body, before: int) -> tuple[int, Body]:
    time.sleep(2 * HURRIED.deadline)
    return answered(asked)


@pytest.mark.parametrize(
    "reply",
    [always(500, "broken"), always(504, "upstream timed out"), lambda *_: (200, "<html>")],
    ids=["500", "504", "no JSON"],
)
def test_a_call_that_failed_after_it_may_have_been_processed_is_counted(reply: Reply, tmp_path: Path) -> None:
    with BehavingServer(every(4, reply), LISTED) as server:
        spending = Step(tmp_path).ask(server.url, 100_000)

    failed = len(server.requests) - 12
    assert failed >= 3
    assert (spending.tokens, spending.estimated) == (12 * TAKES + failed * LOST, failed * LOST)


def test_a_call_that_is_late_is_counted(tmp_path: Path) -> None:
    with BehavingServer(every(6, late), LISTED) as server:
        spending = Step(tmp_path).ask(server.url, 100_000, policy=HURRIED)

    assert len(server.requests) > 12
    assert spending.estimated >= 2 * LOST
    assert spending.tokens == 12 * TAKES + spending.estimated


@pytest.mark.parametrize("status", [429, 503, 529])
def test_a_call_that_was_turned_away_costs_nothing(status: int, tmp_path: Path) -> None:
    with BehavingServer(every(4, always(status, "busy")), LISTED) as server:
        spending = Step(tmp_path).ask(server.url, 100_000)

    assert len(server.requests) > 12
    assert (spending.tokens, spending.estimated) == (12 * TAKES, 0)


@pytest.mark.parametrize("limit", [MOST, 200, 400, pytest.param(700, marks=pytest.mark.faults)])
def test_a_server_that_breaks_whatever_it_processed_spends_no_more_than_the_budget(limit: int, tmp_path: Path) -> None:
    step = Step(tmp_path)
    with BehavingServer(always(500, "broken"), LISTED) as server:
        for _ in range(3):  # what failed calls took is known to later runs, too
            with pytest.raises(AskingStoppedError):
                step.ask(server.url, limit)

    spent = LOST * len(server.requests)
    assert limit - MOST < spent <= limit
    assert Spending.so_far(SpendingLimits(limit), QUESTION, step.store, tmp_path).tokens == spent


def test_a_call_that_has_no_room_for_another_attempt_says_so(tmp_path: Path) -> None:
    step = Step(tmp_path)
    with BehavingServer(always(500, "broken"), LISTED) as server:
        step.ask(server.url, MOST, documents=1)

    assert len(server.requests) == 1
    assert "status 500: broken; annotator.budget has no room for another attempt" in step.failures["0"]


def test_what_is_under_way_when_a_run_is_stopped_counts(tmp_path: Path) -> None:
    class StopsAtOnce(SilentBar):
        def advance(self, amount: float = 1) -> None:
            raise KeyboardInterrupt

    def first_soon(asked: Body, before: int) -> tuple[int, Body]:
        time.sleep(1.0 if before else 0.0)
        return answered(asked)

    store = AnswerStore(Folder(str(tmp_path / "answers")))
    spending = Spending.so_far(SpendingLimits(100_000), QUESTION, store, tmp_path)
    requests = ((str(n), AnnotationRequest(str(n), f"worth {n % 6}", "made")) for n in range(12))
    with BehavingServer(first_soon, LISTED) as server:
        collector = AnswerCollector(EndpointsAnnotator([server.url], SMALL), QUESTION, store, spending)
        with pytest.raises(KeyboardInterrupt):
            collector.ask(requests, StopsAtOnce())
        under_way = len(server.requests) - 1

    later = Spending.so_far(SpendingLimits(100_000), QUESTION, store, tmp_path)
    assert later.tokens - TAKES == later.estimated == spending.lost_tokens
    assert spending.lost_tokens >= LOST * under_way


def test_an_examination_says_what_it_took() -> None:
    spending = Spending(NO_LIMITS, QUESTION)
    with BehavingServer(answered, LISTED) as server:
        assert EndpointsAnnotator([server.url], SMALL).examine(QUESTION, spending) == {server.url: ""}

    assert spending.tokens == TAKES


def test_an_ordinary_text_is_asked_about_within_the_budget(tmp_path: Path) -> None:
    """After three documents that a server declined it is asked about an ordinary text, whose answer costs tokens."""

    def declines(asked: Body, before: int) -> tuple[int, Body]:
        text = asked["messages"][0]["content"]
        return answered(asked) if "sun rises" in text else (400, {"error": {"message": "cannot take this"}})

    with BehavingServer(declines, LISTED) as server:
        spending = Step(tmp_path / "roomy").ask(server.url, 100_000)
        ordinary = sum("sun rises" in asked["messages"][0]["content"] for asked in server.requests)
    assert ordinary >= 1
    assert spending.tokens == TAKES * ordinary

    with BehavingServer(declines, LISTED) as server:  # room for one document, and not for the ordinary text beside it
        Step(tmp_path / "tight").ask(server.url, MOST)
    assert not any("sun rises" in asked["messages"][0]["content"] for asked in server.requests)
    assert len(server.requests) == 12


def taking(tokens_in: int, tokens_out: int) -> Reply:
    """As a server answers that puts a prompt of its own before ours, or writes on beyond `max_tokens`."""

    def reply(asked: Body, before: int) -> tuple[int, Body]:
        time.sleep(0.05)  # several are under way, and others wait for their turn
        status, body = answered(asked)
        usage = {"prompt_tokens": tokens_in, "completion_tokens": tokens_out, "total_tokens": tokens_in + tokens_out}
        return status, {**body, "usage": usage}

    return reply


@pytest.mark.parametrize(("tokens_in", "tokens_out"), [(40, 3000), (2000, 14)], ids=["written", "read"])
def test_what_the_first_answer_was_over_is_reserved_for_all_that_wait_for_their_turn(
    tokens_in: int, tokens_out: int, tmp_path: Path
) -> None:
    takes, step = tokens_in + tokens_out, Step(tmp_path)
    with BehavingServer(taking(tokens_in, tokens_out), LISTED) as server:
        with pytest.raises(AskingStoppedError) as stopped:
            step.ask(server.url, 10 * takes, documents=100)
        asked = len(server.requests)
        assert takes * asked <= 10 * takes
        assert asked >= 8
        assert stopped.value.unasked == 100 - asked
        assert not step.failures
        with pytest.raises(AskingStoppedError):
            step.ask(server.url, 20 * takes, documents=100)  # the answers that are kept tell it from the beginning
        assert 18 <= len(server.requests) <= 20
