"""One OpenAI-compatible address: its connections, its pace, and whether it is there."""

import asyncio
import json
import math
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from resources.annotator.endpoints.breaker import Breaker
from resources.annotator.endpoints.failures import TryAgain, of_status
from resources.annotator.endpoints.limiter import Limiter

LARGEST_BODY = 512 * 1024  # bytes; 8,192 new tokens with their text are some 50 KB
LONGEST_WAIT = 60.0  # seconds; who asks for more is tried again after that


@dataclass
class Endpoint:
    """`url` ends in `/v1`. The counts say what happened here, by reason."""

    url: str
    limiter: Limiter
    breaker: Breaker = field(default_factory=lambda: Breaker(random.random))
    unusable: str = ""
    answered_at: float | None = None
    counts: Counter[str] = field(default_factory=Counter)

    def takes_one(self, now: float) -> bool:
        return not self.unusable and self.limiter.free and self.breaker.lets_through(now)

    def address(self, path: str) -> str:
        """`/tokenize` stands beside `/v1`, all else below it."""
        if path != "/tokenize":
            return self.url + path
        parts = urlsplit(self.url)
        return urlunsplit(parts._replace(path=parts.path.removesuffix("/v1") + path))


async def call(
    session: aiohttp.ClientSession,
    method: str,
    address: str,
    payload: Mapping[str, Any] | None,
    hide: Callable[[str], str],
) -> dict[str, Any]:
    """The JSON object that the server answers with. Raises `Failure`; `hide` takes secrets out of what it says."""
    try:
        async with session.request(method, address, json=payload, allow_redirects=False) as response:
            text = hide((await _body(response)).decode("utf-8", "replace"))
            if response.status != 200:
                raise of_status(response.status, text, _asked_to_wait(response.headers.get("Retry-After", "")))
    except TimeoutError:
        raise TryAgain("no answer within the deadline", busy=True) from None
    except (aiohttp.InvalidURL, aiohttp.ClientConnectorDNSError) as error:
        raise TryAgain(f"address not found: {hide(str(error))}") from None
    except (aiohttp.ClientError, ConnectionError, asyncio.IncompleteReadError) as error:
        raise TryAgain(f"connection broken: {type(error).__name__} {hide(str(error))}"[:200]) from None
    return _object(text)


async def _body(response: aiohttp.ClientResponse) -> bytes:
    found = bytearray()
    async for part in response.content.iter_chunked(64 * 1024):
        found += part
        if len(found) > LARGEST_BODY:
            response.close()
            raise TryAgain(f"a body of more than {LARGEST_BODY} bytes")
    return bytes(found)


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise TryAgain(f"a body that is no JSON: {text[:80]!r}") from None
    if not isinstance(found, dict):
        raise TryAgain(f"a body that is no JSON object: {text[:80]!r}")
    return found


def _asked_to_wait(retry_after: str) -> float:
    """Seconds, from a number or a date; 0 for what is neither."""
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return 0.0
    return min(max(0.0, seconds), LONGEST_WAIT) if math.isfinite(seconds) else 0.0
