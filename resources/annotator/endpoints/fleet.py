"""Many endpoints as one: probed before the first document, then each request goes where it is answered soonest.

A request that fails is sent again, elsewhere if there is an elsewhere. Everything here runs on one event loop.
"""

import asyncio
import contextlib
import random
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from resources.annotator.endpoints.client import JsonClient
from resources.annotator.endpoints.pacing import Endpoint, Limiter, Policy
from resources.annotator.endpoints.replies import (
    NoEndpointError,
    RequestError,
    RetryableError,
    UnusableEndpointError,
)

TICK = 0.05  # seconds between looks at the clock, for breakers whose rest ends
PROBE_INTERVAL = 0.5  # seconds between probes while no endpoint is up
Parsed = TypeVar("Parsed")


@dataclass(frozen=True)
class Response(Generic[Parsed]):
    """What was read from the answer to a request, the endpoint that gave it, and the seconds it took."""

    content: Parsed
    url: str
    seconds: float


@dataclass(frozen=True)
class Capabilities:
    """What every endpoint that is up can do.

    `context`: tokens that the model takes, prompt and reply together; None where no server says.
    """

    context: int | None
    tokenizes: bool


class Fleet:
    """Sends requests to endpoints of which some come and go. Open it before, and close it after.

    `lost` says why no endpoint will ever answer, where that is known; empty else.
    """

    def __init__(
        self, urls: Sequence[str], policy: Policy, key: str = "", lost: Callable[[], str] = lambda: ""
    ) -> None:
        self.endpoints = [
            Endpoint(url, Limiter(start=policy.start, most=policy.most, slow=policy.slow)) for url in urls
        ]
        self.client = JsonClient(key, policy.deadline)
        self._policy, self._lost = policy, lost
        self._waiting: deque[tuple[asyncio.Future[Endpoint], Endpoint | None]] = deque()

    async def open(self) -> None:
        await self.client.open()
        self._opened_at = time.monotonic()
        self._ticking = asyncio.create_task(self._tick())

    async def close(self) -> None:
        self._ticking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._ticking
        await self.client.close()

    # Before the first document: is each endpoint up, may we use it, does it serve the model, what can it do?

    async def probe(self, model: str, *, needs_tokens: bool) -> Capabilities:
        """Waits until an endpoint is up. Those that cannot be asked are marked so.

        Raises `NoEndpointError` when the policy's patience is at its end, and `ValueError` where no endpoint can be
        asked.
        """
        began = time.monotonic()
        while True:
            probes = [self._probe(endpoint, model, needs_tokens) for endpoint in self.endpoints]
            results = await asyncio.gather(*probes)
            up = [result for result in results if isinstance(result, Capabilities)]
            if up:
                contexts = [one.context for one in up if one.context]
                return Capabilities(min(contexts, default=None), all(one.tokenizes for one in up))
            reasons = "; ".join(f"{one.url}: {reason}" for one, reason in zip(self.endpoints, results, strict=True))
            if all(endpoint.unusable for endpoint in self.endpoints):
                raise ValueError(f"no endpoint can be asked: {reasons}")
            if (lost := self._lost()) or time.monotonic() - began > self._policy.patience:
                raise NoEndpointError(lost or f"no endpoint could be reached: {reasons}")
            await asyncio.sleep(PROBE_INTERVAL)

    async def _probe(self, endpoint: Endpoint, model: str, needs_tokens: bool) -> Capabilities | str:
        """What one endpoint can do, or why it cannot be asked now."""
        if endpoint.unusable:
            return endpoint.unusable
        try:
            context = await self._context(endpoint, model)
            tokenizes = await self._tokenizes(endpoint, model)
        except UnusableEndpointError as error:
            endpoint.unusable = error.reason
            return error.reason
        except RequestError as error:
            return error.reason
        if needs_tokens and not tokenizes:
            endpoint.unusable = (
                "has no /tokenize, so it is no vLLM server; score_token and likelihood need one, "
                "`scoring: generate` works"
            )
            return endpoint.unusable
        return Capabilities(context, tokenizes)

    async def _context(self, endpoint: Endpoint, model: str) -> int | None:
        """Raises `UnusableEndpointError` where another model is served."""
        listed = (await self.get(endpoint, "/models")).get("data")
        entries: dict[str, Any] = {
            str(one.get("id")): one for one in (listed if isinstance(listed, list) else []) if isinstance(one, dict)
        }
        if model not in entries:
            raise UnusableEndpointError(
                f"serves {sorted(entries)[:5]}, not {model!r}; name one of these as annotator.model"
            )
        length = entries[model].get("max_model_len")
        return length if isinstance(length, int) and length > 0 else None

    async def _tokenizes(self, endpoint: Endpoint, model: str) -> bool:
        try:
            body = await self.get(endpoint, "/tokenize", {"model": model, "prompt": "a", "add_special_tokens": False})
        except UnusableEndpointError:
            return False
        return isinstance(body.get("tokens"), list)

    async def get(self, endpoint: Endpoint, path: str, payload: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One request to one endpoint, outside of its pace; a POST where there is a payload. Raises `RequestError`."""
        return await self.client.request("GET" if payload is None else "POST", endpoint.address(path), payload)

    # Then: every request to some endpoint, until one answers.

    async def post(
        self, path: str, payload: Mapping[str, Any], read: Callable[[dict[str, Any]], Parsed]
    ) -> Response[Parsed]:
        """The answer as `read` understands it, after as many attempts as the policy grants.

        `read` raises `RetryableError` for an answer that makes no sense. Raises `RequestError` when all is tried.
        """
        attempts, failure, endpoint = 0, RetryableError("not asked"), None
        while attempts < self._policy.attempts:
            endpoint = await self._acquire(avoid=endpoint)
            is_probe = endpoint.breaker.probing
            try:
                return await self._attempt(endpoint, path, payload, read)
            except RetryableError as error:
                failure = error
            except UnusableEndpointError:
                continue  # it gets no more requests; another may answer
            attempts += not is_probe  # the document that found an endpoint still down does not pay for it
            await asyncio.sleep(max(failure.wait, self._policy.pause(attempts)))
        raise RetryableError(f"{failure.reason}, after {attempts} attempts")

    async def _attempt(
        self, endpoint: Endpoint, path: str, payload: Mapping[str, Any], read: Callable[[dict[str, Any]], Parsed]
    ) -> Response[Parsed]:
        started = time.monotonic()
        try:
            content = read(await self.client.request("POST", endpoint.address(path), payload))
        except RetryableError as error:
            endpoint.failed(started, time.monotonic(), error)
            raise
        except UnusableEndpointError as error:
            endpoint.unusable = error.reason
            raise
        except RequestError:
            endpoint.answered(started, time.monotonic())  # the server is up; the document is at fault
            raise
        else:
            now = time.monotonic()
            endpoint.answered(started, now)
            return Response(content, endpoint.url, now - started)
        finally:
            endpoint.release()
            self._dispatch()

    async def _acquire(self, avoid: Endpoint | None) -> Endpoint:
        """An endpoint with a place taken on it, another than `avoid` if there is one. Raises `NoEndpointError`."""
        future: asyncio.Future[Endpoint] = asyncio.get_running_loop().create_future()
        self._waiting.append((future, avoid))
        self._dispatch()
        return await future

    def _dispatch(self) -> None:
        """Gives places to the requests that wait, first come first served; or fails them all where none will come."""
        now = time.monotonic()
        while self._waiting:
            future, avoid = self._waiting[0]
            free = [endpoint for endpoint in self.endpoints if endpoint.available(now)]
            if not future.done() and not free:
                break
            self._waiting.popleft()
            if not future.done():
                chosen = min(free, key=lambda endpoint: _preference(endpoint, avoid))
                chosen.acquire()
                future.set_result(chosen)
        if self._waiting and (reason := self._hopeless(now)):
            while self._waiting:
                future, _ = self._waiting.popleft()
                if not future.done():
                    future.set_exception(NoEndpointError(reason))

    def _hopeless(self, now: float) -> str:
        """Why no endpoint will answer; empty while one may."""
        left = [endpoint for endpoint in self.endpoints if not endpoint.unusable]
        if not left:
            return "; ".join(f"{endpoint.url}: {endpoint.unusable}" for endpoint in self.endpoints)
        if lost := self._lost():
            return lost
        silent = now - max(endpoint.answered_at or self._opened_at for endpoint in left)
        if any(endpoint.breaker.closed for endpoint in left) or silent < self._policy.patience:
            return ""
        return f"no endpoint has answered for {silent:.0f} s: {', '.join(endpoint.url for endpoint in left)}"

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self._dispatch()


def _preference(endpoint: Endpoint, avoid: Endpoint | None) -> tuple[bool, bool, float, float]:
    """Smallest first: not where it just failed, then where a probe is due, then where the load is least."""
    return endpoint is avoid, endpoint.breaker.closed, endpoint.limiter.load, random.random()  # noqa: S311, no secret
