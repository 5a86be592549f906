"""How many requests an endpoint gets, and when it gets none."""

from hypothesis import given
from hypothesis import strategies as st

from resources.annotator.endpoints.errors import RetryableError
from resources.annotator.endpoints.pacing import (
    FAILURES_TO_OPEN,
    FIRST_REST,
    LONGEST_REST,
    CircuitBreaker,
    Endpoint,
    Limiter,
    Policy,
)


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
    breaker = CircuitBreaker(lambda: 1.0)
    for _ in range(FAILURES_TO_OPEN):
        breaker.sent()
        breaker.failed(0.0)

    assert not breaker.allows(0.9 * FIRST_REST)
    assert breaker.allows(1.1 * FIRST_REST)
    breaker.sent()
    assert not breaker.allows(1.1 * FIRST_REST)  # one probe at a time
    breaker.answered()
    assert breaker.closed
    assert breaker.allows(1.1 * FIRST_REST)


def test_rests_double_up_to_the_longest() -> None:
    breaker, now, rests = CircuitBreaker(lambda: 1.0), 0.0, []
    for _ in range(FAILURES_TO_OPEN - 1):
        breaker.failed(now)
    for _ in range(10):
        breaker.sent()
        breaker.failed(now)
        opens = next(now + step / 8 for step in range(1000) if breaker.allows(now + step / 8))
        rests.append(opens - now)
        now = opens

    assert rests[:3] == [FIRST_REST, 2 * FIRST_REST, 4 * FIRST_REST]
    assert rests[-1] == LONGEST_REST


def test_a_server_that_says_it_is_busy_is_up_and_gets_half_the_requests() -> None:
    endpoint = Endpoint("http://host/v1", Limiter(start=8, most=8, slow=60), CircuitBreaker(lambda: 1.0))
    for second in range(2 * FAILURES_TO_OPEN):
        endpoint.acquire()
        endpoint.failed(second, second, RetryableError("status 429: slow down", busy=True, rate_limited=True))
        endpoint.release()

    assert endpoint.breaker.closed
    assert endpoint.limiter.limit == 1
    assert endpoint.outcomes == {"status 429": 2 * FAILURES_TO_OPEN}


def test_a_number_in_a_reason_does_not_make_a_failure_a_busy_server() -> None:
    endpoint = Endpoint("http://host/v1", Limiter(start=8, most=8, slow=60), CircuitBreaker(lambda: 1.0))
    for second in range(FAILURES_TO_OPEN):
        endpoint.failed(second, second, RetryableError("429 choices where one was asked for"))

    assert not endpoint.breaker.closed
    assert endpoint.answered_at is None


def test_pauses_double_up_to_the_longest() -> None:
    policy = Policy(backoff=1.0, longest_backoff=3.0)
    longest = [max(policy.pause(attempts) for _ in range(500)) for attempts in (1, 2, 5)]

    assert 0.9 < longest[0] <= 1 < 1.8 < longest[1] <= 2 < 2.7 < longest[2] <= 3


def one_round(limiter: Limiter, now: float) -> float:
    """As many good answers as were under way together. Returns the limit after them."""
    under_way = int(limiter.limit)
    for _ in range(under_way):
        limiter.in_flight = int(limiter.limit)
        limiter.answered(now, now + 0.5)
    return limiter.limit
