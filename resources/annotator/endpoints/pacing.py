"""How many requests an endpoint gets, and when it gets none. No I/O; times are seconds of any one clock.

A limiter finds how many requests at a time an endpoint takes, a circuit breaker keeps requests away from one that is
down, and `Endpoint` holds both for one address.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from resources.annotator.endpoints.dialect import Dialect
from resources.annotator.endpoints.errors import RequestError, RetryableError

FAILURES_TO_OPEN = 5  # in a row; where one request in ten fails by itself, five in a row are one in 100,000
FIRST_REST, LONGEST_REST = 0.5, 20.0  # seconds that a breaker stays open
ANSWERED = "answered"  # an outcome
FEW = 3  # documents that an endpoint may decline before it is asked about an ordinary text


@dataclass(frozen=True)
class Policy:
    """How much effort a document is worth before it ends as `failed`. Times are in seconds."""

    attempts: int = 6  # a document
    deadline: float = 600.0  # a request; a 70B model under load takes a minute for 256 tokens
    patience: float = 300.0  # how long documents wait while no endpoint answers at all
    start: int = 8  # requests at a time to each endpoint, at first
    most: int = 256  # and at last; vLLM computes 256 together by default
    backoff: float = 0.5  # the first pause is up to this long, each further one up to twice as long
    longest_backoff: float = 30.0

    @property
    def slow(self) -> float:
        """An answer that takes this long counts as a push-back."""
        return self.deadline / 5

    def pause(self, attempts: int) -> float:
        """Exponential, with full jitter: a burst that failed together does not come back together."""
        longest = min(self.longest_backoff, self.backoff * 2 ** max(0, attempts - 1))
        return random.uniform(0, longest)  # noqa: S311, no secret


class Limiter:
    """As many requests at a time as the endpoint takes without pushing back, found as TCP finds its window.

    One more for every good answer until the first push-back, from then on one more a round, and half after a push-back.
    A round is what was in flight together, so that ten refusals of one burst halve once. An answer slower than `slow`
    seconds is a gentle push-back: servers batch, and one that is overloaded grows slow before it refuses.
    """

    def __init__(self, *, start: int, most: int, slow: float) -> None:
        self.limit = float(min(start, most))
        self.in_flight = 0
        self._most, self._slow = most, slow
        self._reduced_at: float | None = None

    @property
    def free(self) -> bool:
        return self.in_flight < int(self.limit)

    @property
    def load(self) -> float:
        return self.in_flight / self.limit

    def answered(self, started: float, now: float) -> None:
        """A request that was sent at `started` was answered."""
        if now - started > self._slow:
            self._reduce(started, now, 0.9)
        elif self.in_flight >= int(self.limit) - 1:  # a limit that nobody reaches says nothing about the server
            step = 1.0 if self._reduced_at is None else 1.0 / self.limit
            self.limit = min(float(self._most), self.limit + step)

    def pushed_back(self, started: float, now: float) -> None:
        """A request that was sent at `started` was refused as one too many, or ran out of time."""
        self._reduce(started, now, 0.5)

    def _reduce(self, started: float, now: float, factor: float) -> None:
        if self._reduced_at is None or started > self._reduced_at:
            self.limit, self._reduced_at = max(1.0, self.limit * factor), now


class CircuitBreaker:
    """Closed: all requests pass. Open: none does, for a rest that doubles. Then half open: one probe does, and decides.

    `jitter` gives a number from 0 to 1, so that endpoints that went down together are not all probed at once.
    """

    def __init__(self, jitter: Callable[[], float] = random.random) -> None:
        self._jitter = jitter
        self._failures = 0
        self._rest = FIRST_REST
        self._opens: float | None = None  # when the next probe may go; None while closed
        self.probing = False

    @property
    def closed(self) -> bool:
        return self._opens is None

    def allows(self, now: float) -> bool:
        return self._opens is None or (now >= self._opens and not self.probing)

    def sent(self) -> None:
        """A request is on its way. While the breaker is not closed it is the probe."""
        self.probing = not self.closed

    def answered(self) -> None:
        self._failures, self._rest, self._opens, self.probing = 0, FIRST_REST, None, False

    def failed(self, now: float) -> None:
        self._failures += 1
        if self.probing or self._failures >= FAILURES_TO_OPEN:
            self._opens = now + self._rest * (0.5 + self._jitter() / 2)
            self._rest = min(LONGEST_REST, 2 * self._rest)
            self._failures = 0
        self.probing = False


@dataclass
class Standing:
    """What a run has learnt of an endpoint with one question, so that it is not learnt again with every step."""

    dialect: Dialect = field(default_factory=Dialect)
    refused: str = ""  # what the server said of a parameter that `dialect` changes
    proven: bool = False  # it has answered
    rejections: int = 0  # documents in a row that it would not have
    tolerated: int = FEW  # so many, until an ordinary text decides whether it is they


@dataclass
class Endpoint:
    """One OpenAI-compatible address. `url` ends in `/v1`; `outcomes` counts what happened here, by reason.

    Until it has answered it is on trial: it gets one request at a time, so that what it will never take is found with
    few.
    """

    url: str
    limiter: Limiter
    standing: Standing = field(default_factory=Standing)
    breaker: CircuitBreaker = field(default_factory=CircuitBreaker)
    unusable: str = ""  # why it gets no more requests
    answered_at: float | None = None
    failing: bool = False  # the last request failed
    outcomes: Counter[str] = field(default_factory=Counter)
    said: dict[str, str] = field(default_factory=dict)  # outcome -> what the server said last
    listed: tuple[str, ...] = ()  # the models that it says it serves, where it does
    _chats: int = 0  # requests about documents that are under way

    def address(self, path: str) -> str:
        """`/tokenize` stands beside `/v1`, all else below it."""
        if path != "/tokenize":
            return self.url + path
        parts = urlsplit(self.url)
        return urlunsplit(parts._replace(path=parts.path.removesuffix("/v1") + path))

    def available(self, now: float, *, chat: bool = True) -> bool:
        if self.unusable or not self.limiter.free or not self.breaker.allows(now):
            return False
        return not chat or self.standing.proven or not self._chats

    def acquire(self, *, chat: bool = True) -> None:
        """Takes a place for one request, which `release` gives back; `chat` says whether it is about a document."""
        self.limiter.in_flight += 1
        self._chats += chat
        self.breaker.sent()

    def release(self, *, chat: bool = True) -> None:
        self.breaker.probing = False
        self._chats -= chat
        self.limiter.in_flight -= 1

    def answered(self, started: float, now: float, *, chat: bool = True) -> None:
        """The server answered a request that was sent at `started`."""
        self._is_up(started, now)
        if chat:
            self.standing.proven, self.standing.rejections = True, 0
            self.outcomes[ANSWERED] += 1

    def declined(self, started: float, now: float, outcome: str, error: RequestError) -> None:
        """The server is up, and would not have the document of a request that was sent at `started`."""
        self._is_up(started, now)
        self.outcomes[outcome] += 1
        self.said[outcome] = error.reason

    def failed(self, started: float, now: float, error: RetryableError) -> None:
        outcome = error.reason.split(":")[0]
        self.outcomes[outcome] += 1
        self.said[outcome] = self.said["failed"] = error.reason
        if error.busy:
            self.limiter.pushed_back(started, now)
        self.failing = True
        if error.rate_limited:
            self.breaker.answered()  # a server that says it is busy is up
        else:
            self.breaker.failed(now)

    def _is_up(self, started: float, now: float) -> None:
        self.limiter.answered(started, now)
        self.breaker.answered()
        self.answered_at, self.failing = now, False

    def __str__(self) -> str:
        """What happened here, in one line: how often, in the server's words, and how it was asked otherwise."""
        outcomes = [
            f"{outcome} {count}"
            + (f" ({said})" if (said := self.said.get(outcome)) and said not in self.unusable else "")
            for outcome, count in self.outcomes.most_common()
        ]
        otherwise = [f"asked {dialect} ({self.standing.refused})"] if (dialect := str(self.standing.dialect)) else []
        unusable = ["given up"] if self.unusable else []  # why is said when it happens, or by the error that follows
        return f"{self.url}: {'; '.join([*filter(None, [', '.join(outcomes)]), *otherwise, *unusable]) or 'not asked'}"
