"""A look at every endpoint before the first document: is it there, may we, does it serve the model, what can it do?"""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from resources.annotator.endpoints.endpoint import Endpoint
from resources.annotator.endpoints.failures import Failure, Nobody, Unusable
from resources.annotator.endpoints.fleet import Fleet

EVERY = 0.5  # seconds between looks while nobody is there


@dataclass(frozen=True)
class Seen:
    """`context`: tokens that the model takes, prompt and reply together; None where nobody says."""

    context: int | None
    tokenizes: bool


async def look_around(fleet: Fleet, model: str, *, needs_tokens: bool) -> Seen:
    """Waits until somebody is there. Endpoints that cannot be asked are marked so.

    Raises `Nobody` when the policy's patience is at its end, and `ValueError` where no endpoint can be asked.
    """
    began = time.monotonic()
    while True:
        found = await asyncio.gather(*(_look(fleet, endpoint, model, needs_tokens) for endpoint in fleet.endpoints))
        seen = [one for one in found if isinstance(one, Seen)]
        if seen:
            contexts = [one.context for one in seen if one.context]
            return Seen(min(contexts, default=None), all(one.tokenizes for one in seen))
        reasons = "; ".join(f"{endpoint.url}: {why}" for endpoint, why in zip(fleet.endpoints, found, strict=True))
        if all(endpoint.unusable for endpoint in fleet.endpoints):
            raise ValueError(f"no endpoint can be asked: {reasons}")
        if (lost := fleet.lost()) or time.monotonic() - began > fleet.policy.patience:
            raise Nobody(lost or f"no endpoint could be reached: {reasons}")
        await asyncio.sleep(EVERY)


async def _look(fleet: Fleet, endpoint: Endpoint, model: str, needs_tokens: bool) -> Seen | str:
    """What was seen, or why nothing was."""
    if endpoint.unusable:
        return endpoint.unusable
    try:
        context = await _context(fleet, endpoint, model)
        tokenizes = await _tokenizes(fleet, endpoint, model)
    except Unusable as error:
        endpoint.unusable = error.reason
        return error.reason
    except Failure as error:
        return error.reason
    if needs_tokens and not tokenizes:
        endpoint.unusable = (
            "has no /tokenize, so it is no vLLM server; score_token and likelihood need one, `scoring: generate` works"
        )
        return endpoint.unusable
    return Seen(context, tokenizes)


async def _context(fleet: Fleet, endpoint: Endpoint, model: str) -> int | None:
    """Raises `Unusable` where another model is served."""
    served = (await fleet.get(endpoint, "/models")).get("data")
    entries: dict[str, Any] = {str(one.get("id")): one for one in _listed(served) if isinstance(one, dict)}
    if model not in entries:
        raise Unusable(f"serves {sorted(entries)[:5]}, not {model!r}; name one of these as annotator.model")
    length = entries[model].get("max_model_len")
    return length if isinstance(length, int) and length > 0 else None


def _listed(served: Any) -> list[Any]:
    return served if isinstance(served, list) else []


async def _tokenizes(fleet: Fleet, endpoint: Endpoint, model: str) -> bool:
    try:
        body = await fleet.get(endpoint, "/tokenize", {"model": model, "prompt": "a", "add_special_tokens": False})
    except Unusable:
        return False
    return isinstance(body.get("tokens"), list)
