"""One JSON request over HTTP: the object that the server answers with, or the error that its failure stands for.

How a server is reached, and what a connection that fails stands for, is in `connections`.
"""

import asyncio
import json
import math
import re
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp

from resources.annotator.endpoints.connections import error_of_connection, proxy_for, via
from resources.annotator.endpoints.errors import RetryableError, UnreachableError, UnreadableError
from resources.annotator.endpoints.statuses import error_of_status

CONNECT_TIMEOUT = 10.0  # seconds
LARGEST_BODY = 512 * 1024  # bytes; 8,192 new tokens with their text are some 50 KB
LOOK_DEADLINE, LARGEST_LIST = 10.0, 16 * 1024 * 1024  # seconds and bytes of a hint, such as a list of 600 models
STATUS = re.compile(r"[45][0-9][0-9]")
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
            connector=aiohttp.TCPConnector(limit=0, ssl=ssl.create_default_context()),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def close(self) -> None:
        await self._session.close()

    async def request(
        self,
        method: str,
        address: str,
        payload: Mapping[str, Any] | None,
    ) -> dict[str, Any]:
        """The object that the server answers with. Raises `RequestError`, in whose reason the key is hidden.

        A gateway in front of several models may report an error with status 200 and the real status in the body.
        """
        text, wait = await self._text(method, address, payload, self._deadline, LARGEST_BODY)
        parsed = _parsed(text)
        if not isinstance(parsed, dict):
            raise UnreadableError(f"a body that is no JSON object: {text[:80]!r}")
        if not parsed.get("choices") and (status := _status_inside(parsed)):
            raise error_of_status(status, text, wait)
        return parsed

    async def look(self, method: str, address: str, payload: Mapping[str, Any] | None) -> Any:
        """The JSON at an address that not every server has: of any form, quickly or not at all. Raises as `request`."""
        return _parsed((await self._text(method, address, payload, LOOK_DEADLINE, LARGEST_LIST))[0])

    async def _text(
        self, method: str, address: str, payload: Mapping[str, Any] | None, deadline: float, largest: int
    ) -> tuple[str, float]:
        """The body, and the seconds to wait. Raises `RequestError` for any status but 200 and 201."""
        status, text, wait, location = await self._exchange(method, address, payload, deadline, largest)
        if status not in (200, 201):  # some gateways answer whatever is posted with 201
            raise error_of_status(status, text, wait, location)
        return text, wait

    async def _exchange(
        self, method: str, address: str, payload: Mapping[str, Any] | None, deadline: float, largest: int
    ) -> tuple[int, str, float, str]:
        """Status, body, the seconds to wait and the address of a redirection."""
        proxy = proxy_for(address)
        timeout = aiohttp.ClientTimeout(total=deadline, sock_connect=CONNECT_TIMEOUT)
        try:
            async with self._session.request(
                method, address, json=payload, allow_redirects=False, proxy=proxy, timeout=timeout
            ) as response:
                text = self.hide((await _body(response, largest)).decode("utf-8-sig", "replace"))
                wait = _wait(response.headers.get("Retry-After", ""))
                return response.status, text, wait, self.hide(response.headers.get("Location", ""))
        except aiohttp.ConnectionTimeoutError:
            raise UnreachableError(f"no connection within {CONNECT_TIMEOUT:.0f} s{via(proxy)}") from None
        except TimeoutError:
            raise RetryableError("no answer within the deadline", busy=True) from None
        except (aiohttp.ClientError, ConnectionError, asyncio.IncompleteReadError) as error:
            raise error_of_connection(error, self.hide(str(error)), proxy) from None

    def hide(self, text: str) -> str:
        """`text` without the key, whatever a server does with it; in JSON a key's `/` and `"` may stand escaped."""
        written = json.dumps(self._key)[1:-1]
        for key in (self._key, written, written.replace("/", "\\/")) if self._key else ():
            text = text.replace(key, "[key]")
        return text


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        if text.lstrip().startswith(("data:", "event:")):
            raise UnreadableError(
                f"a stream of events where one answer was asked for: {text[:80]!r}; have the server or the gateway "
                "before it answer whole (`stream: false`)"
            ) from None
        raise UnreadableError(f"a body that is no JSON: {text[:80]!r}") from None


def _status_inside(body: Mapping[str, Any]) -> int:
    """The HTTP status that an error in the body of an answer with status 200 names; 0 where it names none."""
    error = body.get("error")
    code = error.get("code") if isinstance(error, dict) else None
    if isinstance(code, str) and STATUS.fullmatch(code):
        code = int(code)
    return code if isinstance(code, int) and 400 <= code < 600 else 0


async def _body(response: aiohttp.ClientResponse, largest: int) -> bytes:
    body = bytearray()
    async for part in response.content.iter_chunked(64 * 1024):
        body += part
        if len(body) > largest:
            response.close()
            raise RetryableError(f"a body of more than {largest} bytes")
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
