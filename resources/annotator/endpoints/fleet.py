"""Many endpoints as one: a request goes where there is most room, and elsewhere when it fails.

Everything here runs on one event loop.
"""

import asyncio
import contextlib
import json
import random
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import aiohttp

from resources.annotator.endpoints.endpoint import Endpoint, call
from resources.annotator.endpoints.failures import Failure, Nobody, TryAgain, Unusable
from resources.annotator.endpoints.limiter import Limiter
from resources.annotator.endpoints.policy import Policy

TICK = 0.05  # seconds between looks at the clock, for rests that end
CONNECT = 10.0  # seconds
Found = TypeVar("Found")


@dataclass(frozen=True)
class Posted(Generic[Found]):
    """What was found in the answer to a request, who gave it, and the seconds it took."""

    found: Found
    url: str
    seconds: float


class Fleet:
    """Sends requests to endpoints of which some come and go. Open it before, and close it after.

    `lost` says why nobody will ever answer, where that is known; empty else.
    """

    def __init__(
        self, urls: Sequence[str], policy: Policy, key: str = "", lost: Callable[[], str] = lambda: ""
    ) -> None:
        self.endpoints = [
            Endpoint(url, Limiter(start=policy.start, most=policy.most, slow=policy.slow)) for url in urls
        ]
        self.policy, self._key, self.lost = policy, key, lost
        self._waiting: deque[tuple[asyncio.Future[Endpoint], Endpoint | None]] = deque()

    async def open(self) -> None:
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        timeout = aiohttp.ClientTimeout(total=self.policy.deadline, sock_connect=CONNECT)
        self._session = aiohttp.ClientSession(
            headers=headers,
            timeout=timeout,
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        self._began = time.monotonic()
        self._ticking = asyncio.create_task(self._tick())

    async def close(self) -> None:
        self._ticking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._ticking
        await self._session.close()

    async def post(
        self, path: str, payload: Mapping[str, Any], read: Callable[[dict[str, Any]], Found]
    ) -> Posted[Found]:
        """The answer as `read` understands it, after as many attempts as the policy grants.

        `read` raises `TryAgain` for an answer that makes no sense. Raises `Failure` when all is tried.
        """
        attempts, failure, last = 0, TryAgain("not asked"), None
        while attempts < self.policy.attempts:
            last = await self._endpoint(last)
            probe = last.breaker.probing
            try:
                return await self._attempt(last, path, payload, read)
            except TryAgain as error:
                failure = error
            except Unusable:
                continue  # it takes no more; another may
            attempts += not probe  # who only looked whether somebody is back has lost nothing
            await asyncio.sleep(max(failure.wait, self._pause(attempts)))
        raise TryAgain(f"{failure.reason}, after {attempts} attempts")

    async def get(self, endpoint: Endpoint, path: str, payload: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One look at one endpoint, outside of its pace; a POST where there is a payload. Raises `Failure`."""
        method = "GET" if payload is None else "POST"
        return await call(self._session, method, endpoint.address(path), payload, self.hide)

    def hide(self, text: str) -> str:
        """`text` without the key, whatever a server does with it; in JSON a key's `/` and `"` may stand escaped."""
        written = json.dumps(self._key)[1:-1]
        for key in (self._key, written, written.replace("/", "\\/")) if self._key else ():
            text = text.replace(key, "[key]")
        return text

    async def _attempt(
        self, endpoint: Endpoint, path: str, payload: Mapping[str, Any], read: Callable[[dict[str, Any]], Found]
    ) -> Posted[Found]:
        started = time.monotonic()
        try:
            body = await call(self._session, "POST", endpoint.address(path), payload, self.hide)
            found = read(body)
        except TryAgain as error:
            self._went_wrong(endpoint, started, error)
            raise
        except Unusable as error:
            endpoint.unusable = error.reason
            raise
        except Failure:
            self._went_well(endpoint, started)  # the server is there; the document is at fault
            raise
        else:
            self._went_well(endpoint, started)
            return Posted(found, endpoint.url, time.monotonic() - started)
        finally:
            endpoint.breaker.probing = False
            endpoint.limiter.in_flight -= 1
            self._hand_out()

    def _went_well(self, endpoint: Endpoint, started: float) -> None:
        now = time.monotonic()
        endpoint.limiter.answered(started, now)
        endpoint.breaker.answered()
        endpoint.answered_at = now
        endpoint.counts["answered"] += 1

    def _went_wrong(self, endpoint: Endpoint, started: float, error: TryAgain) -> None:
        now = time.monotonic()
        endpoint.counts[error.reason.split(":")[0]] += 1
        if error.busy:
            endpoint.limiter.pushed_back(started, now)
        if "429" in error.reason[:12]:
            endpoint.breaker.answered()  # who says that it is busy is there
            endpoint.answered_at = now
        else:
            endpoint.breaker.failed(now)

    def _pause(self, attempts: int) -> float:
        """Exponential, with full jitter: a burst that failed together does not come back together."""
        most = min(self.policy.longest_backoff, self.policy.backoff * 2 ** max(0, attempts - 1))
        return random.uniform(0, most)  # noqa: S311, no secret

    async def _endpoint(self, avoid: Endpoint | None) -> Endpoint:
        """An endpoint with a place taken on it. Raises `Nobody`."""
        future: asyncio.Future[Endpoint] = asyncio.get_running_loop().create_future()
        self._waiting.append((future, avoid))
        self._hand_out()
        return await future

    def _hand_out(self) -> None:
        """Gives places to those who wait, first come first served; or says to all that nobody is there."""
        now = time.monotonic()
        while self._waiting:
            future, avoid = self._waiting[0]
            free = [endpoint for endpoint in self.endpoints if endpoint.takes_one(now)]
            if not future.done() and not free:
                break
            self._waiting.popleft()
            if not future.done():
                chosen = min(free, key=lambda endpoint: _preference(endpoint, avoid))
                chosen.limiter.in_flight += 1
                chosen.breaker.sent()
                future.set_result(chosen)
        if self._waiting and (reason := self._hopeless(now)):
            while self._waiting:
                future, _ = self._waiting.popleft()
                if not future.done():
                    future.set_exception(Nobody(reason))

    def _hopeless(self, now: float) -> str:
        """Why nobody will answer, or nothing while somebody may."""
        left = [endpoint for endpoint in self.endpoints if not endpoint.unusable]
        if not left:
            return "; ".join(f"{endpoint.url}: {endpoint.unusable}" for endpoint in self.endpoints)
        if lost := self.lost():
            return lost
        silent = now - max(endpoint.answered_at or self._began for endpoint in left)
        if any(endpoint.breaker.closed for endpoint in left) or silent < self.policy.patience:
            return ""
        return f"no endpoint has answered for {silent:.0f} s: {', '.join(endpoint.url for endpoint in left)}"

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self._hand_out()


def _preference(endpoint: Endpoint, avoid: Endpoint | None) -> tuple[bool, bool, float, float]:
    """Smallest first: not where it just failed, then where a probe is due, then where there is most room."""
    return endpoint is avoid, endpoint.breaker.closed, endpoint.limiter.load, random.random()  # noqa: S311, no secret
