"""Errors of endpoints, by what can be done about them, and the words of a server in the shapes of body that are met.

What would fail again for every document is an `UnusableEndpointError`, whose reason ends in the fix. Which of these a
server's status and words stand for is decided by `statuses`.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

from datashop_assets.printable import printable_line

QUOTED = 300  # characters of a server's own message that go into a reason
TITLE = re.compile(r"<title>(.*?)</title>", re.I | re.S)
NUMBER = re.compile(r"\b\d{4,9}\b")
COMPLETIONS = "/chat/completions"
CHECK_ADDRESS = f"check the address: {COMPLETIONS} is added to it, so that it mostly ends in /v1"


class RequestError(Exception):
    """A request that brought no answer. `reason` says what happened in words that a person can act on.

    Characters that a terminal would obey are written as escapes. `url` is the endpoint's, where one was asked.
    """

    url = ""

    def __init__(self, reason: str) -> None:
        self.reason = printable_line(reason)
        super().__init__(self.reason)


class RetryableError(RequestError):
    """Worth another attempt, here or elsewhere, after the `wait` seconds that the server asked for.

    `busy`: the server pushed back, and should get fewer requests at a time. `rate_limited`: it said so itself (429),
    so that it is certainly up. `processed`: the server may have processed the request, which then has cost something.
    """

    def __init__(
        self,
        reason: str,
        wait: float = 0.0,
        *,
        busy: bool = False,
        rate_limited: bool = False,
        processed: bool = True,
    ) -> None:
        super().__init__(reason)
        self.wait, self.busy, self.rate_limited, self.processed = wait, busy, rate_limited, processed


class UnreachableError(RetryableError):
    """Nobody answers at the address now."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, processed=False)


class ProxyUnreachableError(UnreachableError):
    """The proxy that the environment names does not answer."""


class UnreadableError(RetryableError):
    """An answer that is no chat completion."""


class PromptTooLongError(RequestError):
    """The model takes fewer tokens than were sent."""

    def share_that_fits(self) -> float:
        """The share of the document to keep, from the server's own numbers: largest context over largest request."""
        numbers = sorted(int(number) for number in NUMBER.findall(self.reason))
        return max(0.1, min(0.9, 0.95 * numbers[0] / numbers[-1])) if len(numbers) > 1 else 0.7


class ContentFilteredError(RequestError):
    """The server refuses this document."""


class RejectedError(RequestError):
    """The server will not have this request. `names` says whether it says so of a parameter."""

    def __init__(self, reason: str, message: "ServerMessage | None" = None) -> None:
        super().__init__(reason)
        self._message = message or ServerMessage(reason)

    def names(self, parameter: str) -> bool:
        message = self._message
        return message.parameter == parameter or re.search(rf"\b{parameter}\b", message.text) is not None


class UnusableEndpointError(RequestError):
    """This endpoint would fail every request."""


class BlockedEndpointError(UnusableEndpointError):
    """No request gets through to the endpoint: its certificate is not trusted, or a proxy refuses."""


class ForbiddenError(UnusableEndpointError):
    """The endpoint, or a gateway in front of it, does not let these requests in."""


class WrongKeyError(ForbiddenError):
    """The endpoint does not let this key in."""


class WrongAddressError(UnusableEndpointError):
    """Nothing is asked at this address."""


class UnknownModelError(UnusableEndpointError):
    """The endpoint serves other models."""


class NoRoomError(RequestError):
    """The budget has no room for a request that was about to be sent."""

    def __init__(self) -> None:
        super().__init__("annotator.budget has no room for it any more")


class NoEndpointError(RequestError):
    """No endpoint is left to ask."""


@dataclass(frozen=True)
class ServerMessage:
    """What a server says in the body of an error: its words, its codes, and the parameter that it names as the cause.

    What it repeats of the request is left out.
    """

    words: str
    codes: frozenset[str] = frozenset()  # in lower case
    parameter: str = ""

    @property
    def text(self) -> str:
        """Words and codes, to search in."""
        return " ".join([self.words, *sorted(self.codes)])

    @classmethod
    def of(cls, body: str) -> "ServerMessage":
        """From JSON in any of the usual shapes, from an HTML page its title, else the body as it is."""
        try:
            parsed = json.loads(body)
        except (ValueError, RecursionError):
            title = TITLE.search(body)
            return cls(_on_one_line(title[1] if title else body))
        message = cls.in_object(parsed)
        return message if message.words else replace(message, words=_on_one_line(body))

    @classmethod
    def in_object(cls, parsed: Any) -> "ServerMessage":
        """The same of parsed JSON; without words where it has none in a usual place."""
        said = list(_objects(parsed))
        named = [one.get(name) for one in said for name in WORDS]
        words = [text for value in named for text in (value if isinstance(value, list) else [value]) if _says(text)]
        words += [".".join(map(str, one["loc"])) for one in said if isinstance(one.get("loc"), list)]
        codes = {str(one[name]).lower() for one in said for name in CODES if isinstance(one.get(name), str | int)}
        parameters = [one["param"] for one in said if _says(one.get("param"))]
        return cls(
            _on_one_line("; ".join(dict.fromkeys(words))),
            frozenset(codes),
            parameters[0] if parameters else "",
        )


CODES = ("code", "type", "status", "error_type", "reason", "quotaId")
WORDS = ("message", "msg", "detail", "error", "status_msg")
NESTED = ("error", "errors", "message", "detail", "details", "metadata", "violations", "base_resp")


def _objects(parsed: Any, depth: int = 5) -> Iterator[dict[str, Any]]:
    """The objects of an error's body that hold words or codes, from the outermost in."""
    if isinstance(parsed, list) and depth:
        for one in parsed[:20]:
            yield from _objects(one, depth - 1)
    elif isinstance(parsed, dict) and depth:
        yield parsed
        for name in NESTED:
            yield from _objects(parsed.get(name), depth - 1)
        if isinstance(raw := parsed.get("raw"), str):  # OpenRouter: what the provider behind it said
            yield {"message": raw}


def _says(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and bool(value.strip())


def _on_one_line(text: str) -> str:
    return " ".join(text.split())
