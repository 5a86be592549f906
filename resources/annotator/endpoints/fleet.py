"""Many endpoints as one: probed before the first document, then each request goes where it is answered soonest.

A request that fails is sent again, elsewhere if there is an elsewhere. Whether an endpoint can be asked is decided by
chat requests alone: what it lists of its models is a hint. Everything here runs on one event loop.
"""

import asyncio
import contextlib
import difflib
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

from resources.annotator.endpoints.client import JsonClient
from resources.annotator.endpoints.errors import (
    COMPLETIONS,
    BlockedError,
    ContentFilteredError,
    NoEndpointError,
    PromptTooLongError,
    ProxyUnreachableError,
    RejectedError,
    RequestError,
    RetryableError,
    UnknownModelError,
    UnreachableError,
    UnreadableError,
    UnusableEndpointError,
    WrongAddressError,
    WrongKeyError,
)
from resources.annotator.endpoints.pacing import Endpoint, Limiter, Policy, Standing

TICK = 0.05  # seconds between looks at the clock, for breakers whose rest ends
PROBE_INTERVAL = 0.5  # seconds between probes while no endpoint is up
SHOWN_MODELS = 5  # of those that an endpoint lists
NO_TOKENS = "has no /tokenize, so it is no vLLM server; score_token and likelihood need one, `scoring: generate` works"
REJECTS_ALL_FIX = "correct what it names: annotator.sampling and annotator.model in the prompt file, or the server"
TOO_LITTLE = (
    "has no space for a document beside the question: {reason}; shorten the rubric, lower "
    "annotator.sampling.max_tokens, or serve the model with a longer context"
)
logger = logging.getLogger("datashop.annotator")  # which Dagster and the terminal show
Parsed = TypeVar("Parsed")
Read = Callable[[dict[str, Any]], Parsed]  # raises `RetryableError` for an answer that makes no sense


@dataclass(frozen=True)
class Response(Generic[Parsed]):
    """What was read from the answer to a request, the endpoint that gave it, and the seconds it took.

    `otherwise` says how the endpoint was asked, where it does not take all parameters.
    """

    content: Parsed
    url: str
    seconds: float
    otherwise: str


@dataclass(frozen=True)
class Capabilities:
    """What every endpoint that is up can do.

    `context`: tokens that the model takes, prompt and reply together; None where no server says.
    """

    context: int | None
    tokenizes: bool


@dataclass(frozen=True)
class OrdinaryRequest:
    """The chat request about a text that no server has a reason to decline, and how its answer is read."""

    payload: Mapping[str, Any]
    read: Read[Any]


class Fleet:
    """Sends requests to endpoints of which some come and go. Open it before, and close it after.

    `standings` keeps, by address, what is learnt of endpoints from one fleet to the next. `lost` says why no endpoint
    will ever answer, where that is known; empty else. `ordinary` is set once it is known what is asked.
    """

    def __init__(
        self,
        urls: Sequence[str],
        policy: Policy,
        key: str = "",
        lost: Callable[[], str] = lambda: "",
        standings: dict[str, Standing] | None = None,
    ) -> None:
        known = {} if standings is None else standings
        self.endpoints = [
            Endpoint(
                url,
                Limiter(start=policy.start, most=policy.most, slow=policy.slow),
                known.setdefault(url, Standing()),
            )
            for url in urls
        ]
        self.client = JsonClient(key, policy.deadline)
        self.ordinary: OrdinaryRequest | None = None
        self._policy, self._lost = policy, lost
        self._waiting: deque[tuple[asyncio.Future[Endpoint], Endpoint | None, bool]] = deque()

    async def open(self) -> None:
        await self.client.open()
        self._opened_at = time.monotonic()
        self._ticking = asyncio.create_task(self._tick())

    async def close(self) -> None:
        self._ticking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._ticking
        await self.client.close()

    @property
    def refused(self) -> str:
        """Why all endpoints get no more requests, where none of them has answered; empty else."""
        if any(not one.unusable or one.outcomes["answered"] for one in self.endpoints):
            return ""
        return f"no endpoint can be asked: {self._reasons()}"

    def _reasons(self) -> str:
        return "; ".join(f"{endpoint.url}: {endpoint.unusable}" for endpoint in self.endpoints)

    # Before the first document: is each endpoint up, and what can it do?

    async def probe(self, model: str, *, needs_tokens: bool) -> Capabilities:
        """Waits until an endpoint is up. Those that cannot be asked are marked so.

        Raises `NoEndpointError` when the policy's patience is at its end, and `ValueError` where no endpoint can be
        asked.
        """
        began = time.monotonic()
        while True:
            probes = [self.probe_one(endpoint, model, needs_tokens=needs_tokens) for endpoint in self.endpoints]
            results = await asyncio.gather(*probes)
            up = [result for result in results if isinstance(result, Capabilities)]
            if up:
                contexts = [one.context for one in up if one.context]
                return Capabilities(min(contexts, default=None), all(one.tokenizes for one in up))
            reasons = "; ".join(f"{one.url}: {reason}" for one, reason in zip(self.endpoints, results, strict=True))
            if self.refused:
                raise ValueError(self.refused)
            if (lost := self._lost()) or time.monotonic() - began > self._policy.patience:
                raise NoEndpointError(lost or f"no endpoint could be reached: {reasons}")
            await asyncio.sleep(PROBE_INTERVAL)

    async def probe_one(self, endpoint: Endpoint, model: str, *, needs_tokens: bool) -> Capabilities | str:
        """What one endpoint can do, or why it cannot be asked now.

        It is up where `/models` or `/tokenize` is answered, be it with 404; where neither is, a chat request decides.
        """
        if endpoint.unusable:
            return endpoint.unusable
        try:
            models = await self._look(endpoint, "/models")
            tokens = await self._look(
                endpoint, "/tokenize", {"model": model, "prompt": "a", "add_special_tokens": False}
            )
            if isinstance(models, RetryableError) and isinstance(tokens, RetryableError):
                await self.ask_ordinary(endpoint)
        except (UnusableEndpointError, ProxyUnreachableError) as error:
            self.give_up(endpoint, error.reason)
            return error.reason
        except RetryableError as error:
            return error.reason
        except RequestError:
            pass  # it is up; whether it declines every text, documents decide
        endpoint.listed, context = _listed(models, model)
        tokenizes = isinstance(tokens, dict) and isinstance(tokens.get("tokens"), list)
        if needs_tokens and not tokenizes:
            reason = tokens.reason if isinstance(tokens, WrongKeyError) else NO_TOKENS
            self.give_up(endpoint, reason)
            return reason
        return Capabilities(context, tokenizes)

    async def _look(self, endpoint: Endpoint, path: str, payload: Mapping[str, Any] | None = None) -> Any:
        """What the server has at an address that not every server has, or its error.

        Raises `UnreachableError` where nobody answers, and `BlockedError` where no request gets through.
        """
        try:
            return await self.client.look("GET" if payload is None else "POST", endpoint.address(path), payload)
        except (UnreachableError, BlockedError):
            raise
        except RequestError as error:
            return error

    async def silent(self) -> dict[str, str]:
        """Address -> why nobody answers there, or not with this key; empty where somebody does."""

        async def why(endpoint: Endpoint) -> str:
            try:
                models = await self._look(endpoint, "/models")
            except RequestError as error:
                return error.reason
            refused = isinstance(models, WrongKeyError | RetryableError) and not isinstance(models, UnreadableError)
            return models.reason if refused else ""

        whys = await asyncio.gather(*map(why, self.endpoints))
        return {endpoint.url: one for endpoint, one in zip(self.endpoints, whys, strict=True)}

    async def ask_ordinary(self, endpoint: Endpoint) -> None:
        """One chat request about an ordinary text, outside of the endpoint's pace.

        Raises `RequestError` where it is not answered.
        """
        if self.ordinary is not None:
            await self._exchange(endpoint, COMPLETIONS, self.ordinary.payload, self.ordinary.read)

    # Then: every request to some endpoint, until one answers.

    async def post(self, path: str, payload: Mapping[str, Any], read: Read[Parsed]) -> Response[Parsed]:
        """The answer as `read` understands it, after as many attempts as the policy grants.

        Raises `RequestError` when all is tried.
        """
        attempts, failure, endpoint = 0, RetryableError("not asked"), None
        declined: set[str] = set()
        while attempts < self._policy.attempts:
            endpoint = await self._acquire(endpoint, path)
            is_probe = endpoint.breaker.probing
            try:
                return await self._attempt(endpoint, path, payload, read)
            except RetryableError as error:
                failure = error
            except UnusableEndpointError:
                continue  # it gets no more requests; another may answer
            except RejectedError as error:
                error.url = endpoint.url
                declined.add(endpoint.url)
                if endpoint.standing.proven or not self._others(declined):
                    if endpoint.unusable:
                        continue
                    raise
                continue  # it has not answered yet: perhaps it is not the document that is at fault
            except RequestError as error:
                error.url = endpoint.url
                if endpoint.unusable:
                    continue
                raise
            attempts += not is_probe  # the document that found an endpoint still down does not pay for it
            await asyncio.sleep(max(failure.wait, self._policy.pause(attempts)))
        raise RetryableError(f"{failure.reason}, after {attempts} attempts")

    def _others(self, declined: set[str]) -> bool:
        return any(not endpoint.unusable and endpoint.url not in declined for endpoint in self.endpoints)

    async def _attempt(
        self, endpoint: Endpoint, path: str, payload: Mapping[str, Any], read: Read[Parsed]
    ) -> Response[Parsed]:
        started = time.monotonic()
        chat = path == COMPLETIONS
        try:
            content = await self._exchange(endpoint, path, payload, read)
        except RetryableError as error:
            endpoint.failed(started, time.monotonic(), error)
            if isinstance(error, UnreadableError) and not endpoint.standing.proven:
                await self._decide(endpoint)
            raise
        except UnusableEndpointError as error:
            self.give_up(endpoint, error.reason)
            raise
        except ContentFilteredError as error:
            endpoint.declined(started, time.monotonic(), "refused", error)
            raise
        except PromptTooLongError as error:
            endpoint.declined(started, time.monotonic(), "too long", error)
            if not endpoint.standing.proven:
                await self._decide(endpoint)
            raise
        except RequestError as error:
            endpoint.declined(started, time.monotonic(), "rejected", error)
            await self._decide(endpoint)
            raise
        else:
            now = time.monotonic()
            endpoint.answered(started, now, chat=chat)
            return Response(content, endpoint.url, now - started, str(endpoint.standing.dialect) if chat else "")
        finally:
            endpoint.release(chat=chat)
            self._dispatch()

    async def _exchange(self, endpoint: Endpoint, path: str, payload: Mapping[str, Any], read: Read[Parsed]) -> Parsed:
        """One request, in the endpoint's dialect; again in another where it refuses a parameter."""
        standing, refused = endpoint.standing, ""
        dialect = standing.dialect
        while True:
            try:
                body = await self.client.request("POST", endpoint.address(path), dialect.body(payload))
            except RejectedError as error:
                if (other := dialect.after(error, payload)) is None:
                    raise
                dialect, refused = other, error.reason
            except UnknownModelError as error:
                raise UnknownModelError(error.reason + _listing(endpoint.listed, str(payload["model"]))) from None
            except WrongAddressError as error:
                raise WrongAddressError(error.reason + await self._better_address(endpoint)) from None
            else:
                content = _read(read, body)
                if dialect != standing.dialect:
                    standing.dialect, standing.refused = dialect, refused
                    logger.warning("%s: %s; it is asked %s from now on", endpoint.url, refused, dialect)
                return content

    async def _decide(self, endpoint: Endpoint) -> None:
        """After a few documents in a row that an endpoint declined: is it they, or would it decline anything?"""
        standing = endpoint.standing
        standing.rejections += 1
        if standing.rejections < standing.tolerated:
            return
        standing.rejections = 0
        try:
            await self.ask_ordinary(endpoint)
        except PromptTooLongError as error:
            self.give_up(endpoint, TOO_LITTLE.format(reason=error.reason))
        except (RejectedError, ContentFilteredError, UnreadableError) as error:
            self.give_up(endpoint, f"declines any text: {error.reason}; {REJECTS_ALL_FIX}")
        except UnusableEndpointError as error:
            self.give_up(endpoint, error.reason)
        except RetryableError:
            pass  # it says nothing now
        else:
            standing.proven = True
            standing.tolerated *= 2

    def has_no_space(self, error: PromptTooLongError) -> bool:
        """Gives up the endpoint for which the shortest document was too long, where it has answered none yet."""
        for endpoint in self.endpoints:
            if endpoint.url == error.url and not endpoint.standing.proven:
                self.give_up(endpoint, TOO_LITTLE.format(reason=error.reason))
                return True
        return False

    def give_up(self, endpoint: Endpoint, reason: str) -> None:
        """The endpoint gets no more requests."""
        if not endpoint.unusable:
            endpoint.unusable = reason
            if not self.refused:  # else the error that ends the asking says it
                logger.warning("%s gets no more requests: %s", endpoint.url, reason)

    async def _better_address(self, endpoint: Endpoint) -> str:
        """The address beside this one that lists models, where there is one."""
        if endpoint.listed:
            return ""
        parts = urlsplit(endpoint.url)
        for address in dict.fromkeys((f"{endpoint.url}/v1", f"{parts.scheme}://{parts.netloc}/v1")):
            if address == endpoint.url:
                continue
            with contextlib.suppress(RequestError):
                if _entries(await self.client.look("GET", f"{address}/models", None)):
                    return f"; {address} lists models: give that one"
        return ""

    async def _acquire(self, avoid: Endpoint | None, path: str) -> Endpoint:
        """An endpoint with a place taken on it, another than `avoid` if there is one. Raises `NoEndpointError`."""
        future: asyncio.Future[Endpoint] = asyncio.get_running_loop().create_future()
        self._waiting.append((future, avoid, path == COMPLETIONS))
        self._dispatch()
        return await future

    def _dispatch(self) -> None:
        """Gives places to the requests that wait, first come first served; or fails them all where none will come."""
        now = time.monotonic()
        while self._waiting:
            future, avoid, chat = self._waiting[0]
            free = [endpoint for endpoint in self.endpoints if endpoint.available(now, chat=chat)]
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
        left = [endpoint for endpoint in self.endpoints if not endpoint.unusable]
        if not left:
            return self._reasons()
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


def _read(read: Read[Parsed], body: dict[str, Any]) -> Parsed:
    """Raises `UnreadableError` for an answer that makes no sense, which is the server's own and no connection's."""
    try:
        return read(body)
    except RetryableError as error:
        raise UnreadableError(error.reason) from None


def _preference(endpoint: Endpoint, avoid: Endpoint | None) -> tuple[bool, bool, float, float]:
    """Smallest first: not where it just failed, then where a probe is due, then where the load is least."""
    return endpoint is avoid, endpoint.breaker.closed, endpoint.limiter.load, random.random()  # noqa: S311, no secret


def _entries(models: Any) -> dict[str, dict[str, Any]]:
    """Name -> entry of a list of models, as OpenAI has it, as a bare list, or as Ollama has it."""
    listed = (models.get("data") or models.get("models")) if isinstance(models, dict) else models
    entries = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return {str(one.get("id") or one.get("name")): one for one in entries if one.get("id") or one.get("name")}


def _listed(models: Any, model: str) -> tuple[tuple[str, ...], int | None]:
    """The names that are listed, and how many tokens `model` takes where that is said."""
    entries = _entries(models)
    entry = entries.get(model, {})
    length = entry.get("max_model_len")
    return tuple(entries), length if isinstance(length, int) and length > 1 else None


def _listing(listed: Sequence[str], model: str) -> str:
    """The models that are listed, those first whose names are most like `model`."""
    if not listed:
        return ""
    alike = difflib.get_close_matches(model, listed, SHOWN_MODELS, 0.0)
    more = f" and {len(listed) - len(alike)} more" if len(listed) > len(alike) else ""
    return f": it lists {', '.join(alike)}{more}"
