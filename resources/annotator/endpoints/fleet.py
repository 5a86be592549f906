"""Many endpoints as one: each request goes where it is answered soonest, and what an endpoint will never take is found.

A request that fails is sent again, elsewhere if there is an elsewhere (`dispatching.py`). What the endpoints can do is
found before the first document (`probing.py`). Everything here runs on one event loop.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from datashop_assets.protocols.annotator import AnnotationRequest, Answer, Meter
from resources.annotator.endpoints.client import JsonClient
from resources.annotator.endpoints.dispatching import Dispatcher, reasons_given_up
from resources.annotator.endpoints.errors import (
    CHECK_ADDRESS,
    COMPLETIONS,
    ContentFilteredError,
    NoRoomError,
    PromptTooLongError,
    RejectedError,
    RequestError,
    RetryableError,
    UnknownModelError,
    UnreadableError,
    UnusableEndpointError,
    WrongAddressError,
)
from resources.annotator.endpoints.listed_models import better_address, listing
from resources.annotator.endpoints.pacing import ANSWERED, Endpoint, Limiter, Policy, Standing

REJECTS_ALL_FIX = "correct what it names: annotator.sampling and annotator.model in the prompt file, or the server"
UNREADABLE_FIX = f"correct what it names, or {CHECK_ADDRESS}"
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
class OrdinaryRequest:
    """The chat request about a text that no server has a reason to decline, and how its answer is read."""

    request: AnnotationRequest
    payload: Mapping[str, Any]
    read: Read[Answer]


class Fleet:
    """Sends requests to endpoints of which some come and go. Open it before, and close it after.

    `standings` keeps, by address, what is learnt of endpoints from one fleet to the next. `lost` says why no endpoint
    will ever answer, where that is known; empty else. `ordinary` is set once it is known what is asked. `meter` counts
    the calls that fail and the ordinary requests, and gives room for them.
    """

    def __init__(
        self,
        urls: Sequence[str],
        policy: Policy,
        key: str = "",
        lost: Callable[[], str] = lambda: "",
        standings: dict[str, Standing] | None = None,
        *,
        meter: Meter | None = None,
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
        self.policy, self.lost, self._meter = policy, lost, meter
        self._dispatcher = Dispatcher(self.endpoints, policy, lost)

    async def open(self) -> None:
        await self.client.open()
        self._dispatcher.open()

    async def close(self) -> None:
        await self._dispatcher.close()
        await self.client.close()

    @property
    def refused(self) -> str:
        """Why all endpoints get no more requests, where none of them has answered; empty else."""
        if any(not one.unusable or one.outcomes[ANSWERED] for one in self.endpoints):
            return ""
        return f"no endpoint can be asked: {reasons_given_up(self.endpoints)}"

    async def post(
        self, path: str, payload: Mapping[str, Any], read: Read[Parsed], about: AnnotationRequest | None = None
    ) -> Response[Parsed]:
        """The answer as `read` understands it, after as many attempts as the policy and the budget grant.

        `about` is the document that a request costs something for. Raises `RequestError` when all is tried.
        """
        attempts, failure, endpoint = 0, RetryableError("not asked"), None
        declined: set[str] = set()
        while attempts < self.policy.attempts:
            endpoint = await self._dispatcher.acquire(endpoint, chat=path == COMPLETIONS)
            is_probe = endpoint.breaker.probing
            if about is not None and self._meter is not None and not self._meter.admit(about):
                self._dispatcher.release(endpoint, chat=path == COMPLETIONS)
                raise NoRoomError
            try:
                return await self._attempt(endpoint, path, payload, read)
            except asyncio.CancelledError:  # the run is stopped, and the server goes on with what it was sent
                self._has_room_after(about)
                raise
            except RetryableError as error:
                failure = error
                if error.processed and not self._has_room_after(about):
                    raise RetryableError(f"{error.reason}; annotator.budget has no room for another attempt") from None
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
            await asyncio.sleep(max(failure.wait, self.policy.pause(attempts)))
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
            self._dispatcher.release(endpoint, chat=chat)

    async def ask_ordinary(self, endpoint: Endpoint) -> None:
        """One chat request about an ordinary text, outside of the endpoint's pace.

        Raises `RequestError` where it is not answered, or the budget has no room for it.
        """
        if self.ordinary is None:
            return
        request = replace(self.ordinary.request, id=f"{self.ordinary.request.id} {endpoint.url}")
        if self._meter is not None and not self._meter.reserve([request]):
            raise RequestError("annotator.budget has no room to ask about an ordinary text")
        try:
            answer = await self._exchange(endpoint, COMPLETIONS, self.ordinary.payload, self.ordinary.read)
            if self._meter is not None:
                self._meter.settle(replace(answer, id=request.id))
        except RetryableError as error:
            if error.processed:
                self._has_room_after(request)
            raise
        finally:
            if self._meter is not None:
                self._meter.release([request.id])

    def _has_room_after(self, request: AnnotationRequest | None) -> bool:
        """Counts a call that failed after it may have been processed. Returns whether it may be tried again."""
        return request is None or self._meter is None or self._meter.lost(request)

    async def _exchange(self, endpoint: Endpoint, path: str, payload: Mapping[str, Any], read: Read[Parsed]) -> Parsed:
        """One request, in the endpoint's dialect; again in another where it refuses a parameter."""
        standing, refused = endpoint.standing, ""
        dialect = standing.dialect
        while True:
            try:
                content = _read(read, await self.client.request("POST", endpoint.address(path), dialect.body(payload)))
            except RejectedError as error:
                if (other := dialect.after(error, payload)) is None:
                    raise
                dialect, refused = other, error.reason
            except UnknownModelError as error:
                raise UnknownModelError(error.reason + listing(endpoint.listed, str(payload["model"]))) from None
            except WrongAddressError as error:
                better = "" if endpoint.listed else await better_address(self.client, endpoint.url)
                raise WrongAddressError(error.reason + better) from None
            else:
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
        except (RejectedError, ContentFilteredError) as error:
            self.give_up(endpoint, f"declines any text: {error.reason}; {REJECTS_ALL_FIX}")
        except UnreadableError as error:
            self.give_up(endpoint, f"gives no chat completion for any text: {error.reason}; {UNREADABLE_FIX}")
        except UnusableEndpointError as error:
            self.give_up(endpoint, error.reason)
        except RequestError:
            pass  # it says nothing now, or the budget has no room to ask
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


def _read(read: Read[Parsed], body: dict[str, Any]) -> Parsed:
    """Raises `UnreadableError` for an answer that makes no sense, which is the server's own and no connection's."""
    try:
        return read(body)
    except RetryableError as error:
        raise UnreadableError(error.reason) from None
