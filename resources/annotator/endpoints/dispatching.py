"""Who is asked next: requests wait for a place at an endpoint, first come first served, until nobody will answer."""

import asyncio
import contextlib
import random
import time
from collections import deque
from collections.abc import Callable, Sequence

from resources.annotator.endpoints.errors import NoEndpointError
from resources.annotator.endpoints.pacing import Endpoint, Policy

TICK = 0.05  # seconds between looks at the clock, for breakers whose rest ends


class Dispatcher:
    """Gives requests places at endpoints. Open it before, and close it after; it runs on one event loop.

    `lost` says why no endpoint will ever answer, where that is known; empty else.
    """

    def __init__(self, endpoints: Sequence[Endpoint], policy: Policy, lost: Callable[[], str]) -> None:
        self._endpoints, self._policy, self._lost = endpoints, policy, lost
        self._waiting: deque[tuple[asyncio.Future[Endpoint], Endpoint | None, bool]] = deque()

    def open(self) -> None:
        self._opened_at = time.monotonic()
        self._ticking = asyncio.create_task(self._tick())

    async def close(self) -> None:
        self._ticking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._ticking

    async def acquire(self, avoid: Endpoint | None, *, chat: bool) -> Endpoint:
        """An endpoint with a place taken on it, another than `avoid` if there is one. Raises `NoEndpointError`."""
        future: asyncio.Future[Endpoint] = asyncio.get_running_loop().create_future()
        self._waiting.append((future, avoid, chat))
        self._dispatch()
        return await future

    def release(self, endpoint: Endpoint, *, chat: bool) -> None:
        """Gives the place back, to the next that waits."""
        endpoint.release(chat=chat)
        self._dispatch()

    def _dispatch(self) -> None:
        """Gives places to the requests that wait, first come first served; or fails them all where none will come."""
        now = time.monotonic()
        while self._waiting:
            future, avoid, chat = self._waiting[0]
            free = [endpoint for endpoint in self._endpoints if endpoint.available(now, chat=chat)]
            if not future.done() and not free:
                break
            self._waiting.popleft()
            if not future.done():
                chosen = min(free, key=lambda endpoint: _preference(endpoint, avoid))
                chosen.acquire(chat=chat)
                future.set_result(chosen)
        if self._waiting and (reason := self._hopeless(now)):
            while self._waiting:
                future = self._waiting.popleft()[0]
                if not future.done():
                    future.set_exception(NoEndpointError(reason))

    def _hopeless(self, now: float) -> str:
        """Why no endpoint will answer; empty while one may."""
        left = [endpoint for endpoint in self._endpoints if not endpoint.unusable]
        if not left:
            return reasons_given_up(self._endpoints)
        if lost := self._lost():
            return lost
        silent = now - max(endpoint.answered_at or self._opened_at for endpoint in left)
        if silent < self._policy.patience or any(one.breaker.closed and not one.failing for one in left):
            return ""
        last = ", ".join(f"{endpoint.url} ({endpoint.said.get('failed', 'no answer')})" for endpoint in left)
        return f"no endpoint has answered for {silent:.0f} s: {last}"

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self._dispatch()


def reasons_given_up(endpoints: Sequence[Endpoint]) -> str:
    """Why each of them gets no more requests."""
    return "; ".join(f"{endpoint.url}: {endpoint.unusable}" for endpoint in endpoints)


def _preference(endpoint: Endpoint, avoid: Endpoint | None) -> tuple[bool, bool, float, float]:
    """Smallest first: not where it just failed, then where a probe is due, then where the load is least."""
    return endpoint is avoid, endpoint.breaker.closed, endpoint.limiter.load, random.random()  # noqa: S311, no secret
