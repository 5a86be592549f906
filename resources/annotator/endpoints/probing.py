"""Before the first document: is each endpoint up, and what can it do?

Whether an endpoint can be asked is decided by chat requests alone: what it lists of its models is a hint.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from resources.annotator.endpoints.errors import (
    BlockedEndpointError,
    ForbiddenError,
    NoEndpointError,
    ProxyUnreachableError,
    RequestError,
    RetryableError,
    UnreachableError,
    UnreadableError,
    UnusableEndpointError,
)
from resources.annotator.endpoints.fleet import Fleet
from resources.annotator.endpoints.listed_models import listed_models
from resources.annotator.endpoints.pacing import Endpoint

PROBE_INTERVAL = 0.5  # seconds between probes while no endpoint is up
NO_TOKENS = "has no /tokenize, so it is no vLLM server; score_token and likelihood need one, `scoring: generate` works"


@dataclass(frozen=True)
class Capabilities:
    """What every endpoint that is up can do.

    `context`: tokens that the model takes, prompt and reply together; None where no server says.
    """

    context: int | None
    tokenizes: bool


async def probe(fleet: Fleet, model: str, *, needs_tokens: bool) -> Capabilities:
    """Waits until an endpoint is up. Those that cannot be asked are marked so.

    Raises `NoEndpointError` when the policy's patience is at its end, and `ValueError` where no endpoint can be
    asked.
    """
    began = time.monotonic()
    while True:
        probes = [probe_one(fleet, endpoint, model, needs_tokens=needs_tokens) for endpoint in fleet.endpoints]
        results = await asyncio.gather(*probes)
        up = [result for result in results if isinstance(result, Capabilities)]
        if up:
            contexts = [one.context for one in up if one.context]
            return Capabilities(min(contexts, default=None), all(one.tokenizes for one in up))
        reasons = "; ".join(f"{one.url}: {reason}" for one, reason in zip(fleet.endpoints, results, strict=True))
        if fleet.refused:
            raise ValueError(fleet.refused)
        if (lost := fleet.lost()) or time.monotonic() - began > fleet.policy.patience:
            raise NoEndpointError(lost or f"no endpoint could be reached: {reasons}")
        await asyncio.sleep(PROBE_INTERVAL)


async def probe_one(fleet: Fleet, endpoint: Endpoint, model: str, *, needs_tokens: bool) -> Capabilities | str:
    """What one endpoint can do, or why it cannot be asked now.

    It is up where `/models` or `/tokenize` is answered, be it with 404; where neither is, a chat request decides.
    """
    if endpoint.unusable:
        return endpoint.unusable
    try:
        models = await _look(fleet, endpoint, "/models")
        tokens = await _look(fleet, endpoint, "/tokenize", {"model": model, "prompt": "a", "add_special_tokens": False})
        if isinstance(models, RetryableError) and isinstance(tokens, RetryableError):
            await fleet.ask_ordinary(endpoint)
    except (UnusableEndpointError, ProxyUnreachableError) as error:
        fleet.give_up(endpoint, error.reason)
        return error.reason
    except RetryableError as error:
        return error.reason
    except RequestError:
        pass  # it is up; whether it declines every text, documents decide
    endpoint.listed, context = listed_models(models, model)
    tokenizes = isinstance(tokens, dict) and isinstance(tokens.get("tokens"), list)
    if needs_tokens and not tokenizes:
        reason = tokens.reason if isinstance(tokens, ForbiddenError) else NO_TOKENS
        fleet.give_up(endpoint, reason)
        return reason
    return Capabilities(context, tokenizes)


async def silent(fleet: Fleet) -> dict[str, str]:
    """Address -> why nobody answers there, or not with this key; empty where somebody does."""

    async def why(endpoint: Endpoint) -> str:
        try:
            models = await _look(fleet, endpoint, "/models")
        except RequestError as error:
            return error.reason
        refused = isinstance(models, ForbiddenError | RetryableError) and not isinstance(models, UnreadableError)
        return models.reason if refused else ""

    whys = await asyncio.gather(*map(why, fleet.endpoints))
    return {endpoint.url: one for endpoint, one in zip(fleet.endpoints, whys, strict=True)}


async def _look(fleet: Fleet, endpoint: Endpoint, path: str, payload: Mapping[str, Any] | None = None) -> Any:
    """What the server has at an address that not every server has, or its error.

    Raises `UnreachableError` where nobody answers, and `BlockedEndpointError` where no request gets through.
    """
    try:
        return await fleet.client.look("GET" if payload is None else "POST", endpoint.address(path), payload)
    except (UnreachableError, BlockedEndpointError):
        raise
    except RequestError as error:
        return error
