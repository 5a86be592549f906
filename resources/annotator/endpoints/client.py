"""One JSON request over HTTP: the object that the server answers with, or the error that its failure stands for."""

import asyncio
import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp

from resources.annotator.endpoints.replies import RetryableError, error_of_status

CONNECT_TIMEOUT = 10.0  # seconds
LARGEST_BODY = 512 * 1024  # bytes; 8,192 new tokens with their text are some 50 KB
LONGEST_WAIT = 60.0  # seconds; a server that asks for more is tried again after that


class JsonClient:
    """Sends requests with one key, within `deadline` seconds each. Open it on the event loop, and close it after.

    Any number of connections; no cookies; no redirection is followed, so that the key goes to the addresses that were
    named and nowhere else.
    """

    def __init__(self, key: str, deadline: float) -> None:
        self._key, self._deadline = key, deadline

    async def open(self) -> None:
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            timeout=aiohttp.ClientTimeout(total=self._deadline, sock_connect=CONNECT_TIMEOUT),
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def close(self) -> None:
        await self._session.close()

    async def request(self, method: str, address: str, payload: Mapping[str, Any] | None) -> dict[str, Any]:
        """Raises `RequestError`, in whose reason the key is hidden."""
        try:
            async with self._session.request(method, address, json=payload, allow_redirects=False) as response:
                text = self.hide((await _body(response)).decode("utf-8", "replace"))
                if response.status != 200:
                    raise error_of_status(response.status, text, _wait(response.headers.get("Retry-After", "")))
        except TimeoutError:
            raise RetryableError("no answer within the deadline", busy=True) from None
        except (aiohttp.InvalidURL, aiohttp.ClientConnectorDNSError) as error:
            raise RetryableError(f"address not found: {self.hide(str(error))}") from None
        except (aiohttp.ClientError, ConnectionError, asyncio.IncompleteReadError) as error:
            reason = f"connection broken: {type(error).__name__} {self.hide(str(error))}"
            raise RetryableError(reason[:200]) from None
        try:
            parsed = json.loads(text)
        except (ValueError, RecursionError):
            raise RetryableError(f"a body that is no JSON: {text[:80]!r}") from None
        if not isinstance(parsed, dict):
            raise RetryableError(f"a body that is no JSON object: {text[:80]!r}")
        return parsed

    def hide(self, text: str) -> str:
        """`text` without the key, whatever a server does with it; in JSON a key's `/` and `"` may stand escaped."""
        written = json.dumps(self._key)[1:-1]
        for key in (self._key, written, written.replace("/", "\\/")) if self._key else ():
            text = text.replace(key, "[key]")
        return text


async def _body(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for part in response.content.iter_chunked(64 * 1024):
        body += part
        if len(body) > LARGEST_BODY:
            response.close()
            raise RetryableError(f"a body of more than {LARGEST_BODY} bytes")
    return bytes(body)


def _wait(retry_after: str) -> float:
    """Seconds, from the number or date of a `Retry-After` header; 0 for what is neither."""
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return 0.0
    return min(max(0.0, seconds), LONGEST_WAIT) if math.isfinite(seconds) else 0.0
