"""How many requests an endpoint gets, and when it gets none."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.annotator.endpoints.breaker import AFTER, FIRST_REST, LONGEST_REST, Breaker
from resources.annotator.endpoints.failures import Filtered, Rejected, TooLong, TryAgain, Unusable, of_status
from resources.annotator.endpoints.limiter import Limiter
from resources.annotator.endpoints.marks import MARKS, without_marks
from resources.annotator.endpoints.reading import token_ids
from resources.annotator.endpoints.spelling import shuffled


def test_pace_doubles_each_round_until_the_first_push_back_and_then_grows_by_one() -> None:
    limiter = Limiter(start=4, most=100, slow=60)
    rounds = [one_round(limiter, now) for now in range(3)]
    limiter.pushed_back(started=3.0, now=3.5)
    halved = limiter.limit
    one_round(limiter, 4)

    assert rounds == [8, 16, 32]
    assert halved == 16
    assert 16.9 < limiter.limit < 17.1


def test_a_burst_of_refusals_halves_once() -> None:
    limiter = Limiter(start=64, most=100, slow=60)
    for _ in range(10):
        limiter.pushed_back(started=1.0, now=2.0)

    assert limiter.limit == 32


def test_a_slow_answer_is_a_gentle_push_back() -> None:
    limiter = Limiter(start=50, most=100, slow=60)
    limiter.answered(started=0.0, now=61.0)

    assert limiter.limit == 45


@given(st.lists(st.sampled_from(["answered", "pushed back", "slow"]), max_size=200))
def test_whatever_happens_there_is_room_for_one_and_never_for_more_than_the_most(events: list[str]) -> None:
    limiter = Limiter(start=8, most=20, slow=60)
    for now, event in enumerate(events):
        limiter.in_flight = int(limiter.limit)
        if event == "pushed back":
            limiter.pushed_back(now, now + 1)
        else:
            limiter.answered(now - 100 if event == "slow" else now, now + 1)
        assert 1 <= limiter.limit <= 20


def test_a_breaker_opens_after_failures_in_a_row_and_closes_with_a_good_probe() -> None:
    breaker = Breaker(lambda: 1.0)
    for _ in range(AFTER):
        breaker.sent()
        breaker.failed(0.0)

    assert not breaker.lets_through(0.9 * FIRST_REST)
    assert breaker.lets_through(1.1 * FIRST_REST)
    breaker.sent()
    assert not breaker.lets_through(1.1 * FIRST_REST)  # one probe at a time
    breaker.answered()
    assert breaker.closed
    assert breaker.lets_through(1.1 * FIRST_REST)


def test_rests_double_up_to_the_longest() -> None:
    breaker, now, rests = Breaker(lambda: 1.0), 0.0, []
    for _ in range(AFTER - 1):
        breaker.failed(now)
    for _ in range(10):
        breaker.sent()
        breaker.failed(now)
        opens = next(now + step / 8 for step in range(1000) if breaker.lets_through(now + step / 8))
        rests.append(opens - now)
        now = opens

    assert rests[:3] == [FIRST_REST, 2 * FIRST_REST, 4 * FIRST_REST]
    assert rests[-1] == LONGEST_REST


def test_what_an_http_status_stands_for() -> None:
    assert isinstance(of_status(500, "", 0), TryAgain)
    assert isinstance(of_status(503, "", 0), TryAgain)
    assert isinstance(of_status(400, "maximum context length is 10", 0), TooLong)
    assert isinstance(of_status(400, '{"code": "content_filter"}', 0), Filtered)
    assert isinstance(of_status(400, "bad template", 0), Rejected)
    assert isinstance(of_status(302, "", 0), Unusable)
    busy = of_status(429, "", 7)
    assert isinstance(busy, TryAgain)
    assert (busy.busy, busy.wait) == (True, 7)


def test_the_servers_own_numbers_say_how_much_to_cut() -> None:
    too_long = of_status(400, "maximum context length is 2048 tokens. However, you requested 4096 tokens", 0)

    assert isinstance(too_long, TooLong)
    assert too_long.share() == 0.95 * 0.5


@given(st.text(st.sampled_from("<|>/s[]INST_imendbo "), max_size=60))
def test_no_mark_of_a_template_survives_and_nothing_else_changes(text: str) -> None:
    broken = without_marks(text)

    assert not MARKS.search(broken)
    assert broken.replace(" ", "") == text.replace(" ", "")


@given(st.text())
def test_options_are_shuffled_by_the_document_alone(text: str) -> None:
    assert sorted(shuffled("abcde", text)) == list("abcde")
    assert shuffled("abcde", text) == shuffled("edcba", text)


def one_round(limiter: Limiter, now: float) -> float:
    """As many good answers as were under way together. Returns the limit after them."""
    under_way = int(limiter.limit)
    for _ in range(under_way):
        limiter.in_flight = int(limiter.limit)
        limiter.answered(now, now + 0.5)
    return limiter.limit


@pytest.mark.parametrize("body", [{}, {"tokens": None}, {"tokens": ["a"]}])
def test_a_count_that_makes_no_sense_is_tried_again(body: dict[str, Any]) -> None:
    assert token_ids({"tokens": [1, 2]}) == [1, 2]
    with pytest.raises(TryAgain, match="a count without tokens"):
        token_ids(body)
