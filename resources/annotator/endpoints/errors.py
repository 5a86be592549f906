"""Errors of endpoints, by what can be done about them, and how a server's answer is read as one of them.

Servers that call themselves OpenAI-compatible agree on little but the status. `ServerMessage` finds the words and codes
in the shapes of body that are met, and `error_of_status` decides from these. What would fail again for every document
is an `UnusableEndpointError`, whose reason ends in the fix.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

from datashop_assets.printable import printable_line

QUOTED = 300  # characters of a server's own message that go into a reason

CONTEXT_LENGTH = re.compile(
    r"context.(length|window|size)|maximum.{0,20}(length|number of tokens)|max_model_len|max_new_tokens.{0,20}must be|"
    r"too (long|many (input )?tokens)|reduce the length|(inputs?|prompt)\b.{0,40}(\+|plus|and) .{0,3}max_(\w+_)?tokens",
    re.I,
)
CONTENT_FILTER = re.compile(
    r"content[_ -]?filter|content[_ ]policy|content management policy|responsible_?ai|data_?inspection_?failed|"
    r"(input|prompt|text|content) (was|is|has been) flagged|"
    r"moderation\b.{0,80}\bflagged|flagged\b.{0,80}\bmoderation|inappropriate content",
    re.I,
)
QUOTA_CODES = frozenset(
    {
        *("insufficient_quota", "quota_exceeded", "exceeded_current_quota_error", "payment_required", "arrearage"),
        *("billing_hard_limit_reached", "billing_not_active", "account_deactivated"),
        *("insufficient_balance", "insufficient_credits", "credit_balance_too_low"),
        *("allocationquota", "allocationquota.freetieronly"),
    }
)
_OF_DAYS = (
    r"(?<![a-z])(daily|weekly|monthly)[ _-]([^.]{0,40}[ _-])?(limit|quota|credit|allowance|request|token|usage|cap)"
)
_SPENT = r"(reached|exceeded|exhausted|used up)"
DAYS_SPENT = rf"{_SPENT} [^.]{{0,40}}{_OF_DAYS}|{_OF_DAYS}[^.]{{0,20}}[ _-]{_SPENT}"
QUOTA = re.compile(
    r"exceeded your current quota|(quota|free tier)[^.]{0,40}(used up|exhausted)|out of credits?|"
    rf"{DAYS_SPENT}|"
    r"insufficient (account )?(balance|credit|fund|quota)|balance is (too low|insufficient)|"
    r"(requires?|needs?|add|buy|purchase) more credits?|spend(ing)? limit|billing (hard )?limit",
    re.I,
)
PER_DAY = re.compile(rf"per[ _-]?(day|week|month)|{DAYS_SPENT}", re.I)
SOON = re.compile(
    r"retrydelay|(try|retry)( again)? (in|after)\b|per[ _-]?(min|sec)|\b[rt]p[ms]\b|rate[ _-]?limit", re.I
)
_IN_SENTENCE = r"(?:[^.]|\.(?=\S)){0,80}"  # names of models hold points
MODEL = re.compile(
    r"model_?not_?found|invalid_model|model_not_exist|not a valid model|(no such|unknown|invalid|unsupported) model\b|"
    rf"(model|deployment)\b{_IN_SENTENCE}\b(does not exist|not exist|not found|not available|not served|no access|"
    r"not supported by any provider)|"
    r"\bmodels?\b:?\s+(\S{1,120}\s+)?(has been|have been|was|is|are)\s+(\w+\s+){0,2}(decommissioned|deprecated|retired|"
    r"discontinued|shut down|no longer (available|supported|served|offered))|model_decommissioned|"
    r"no (endpoints?|providers?) (found|available) (for|that)",
    re.I,
)
PROVIDERS = re.compile(
    r"no (endpoints?|providers?)\b.{0,40}\b(data|privacy) (policy|policies|settings)|no allowed providers", re.I
)
KEY = re.compile(r"api[_ -]?key[_ ](not valid|invalid|expired)|(invalid|incorrect)[_ ]api[_ -]?key", re.I)


def _of_new_tokens(said: str) -> re.Pattern[str]:
    """`said` of the most tokens that a reply may have, whatever the parameter is called."""
    name = r"\bmax_?((completion|output|new)_?)?tokens"
    return re.compile(rf"{name}[^.]{{0,60}}({said})|({said})[^.]{{0,60}}(body\.)?{name}", re.I)


NO_SUCH_PARAMETER = re.compile(
    r"unsupported|not (supported|permitted|compatible)|unrecognized|unknown|use\b.{0,40} instead", re.I
)
NOTHING_LEFT_TO_WRITE = _of_new_tokens(r"at least [01]\b.{0,20}\bgot (-\d|0\b)")  # vLLM's, of a prompt that is too long
TOO_MUCH_TO_WRITE = _of_new_tokens(
    r"too (large|high|big)|be (\w+ )?(less|smaller|lower) than|is (greater|larger|more|higher) than|exceeds|at most|"
    r"<=? ?\d|\d > \d|maximum value"
)
TOO_LITTLE_TO_WRITE = _of_new_tokens(
    r"too (small|low)|be (\w+ )?(greater|larger|more|higher) than|is (less|smaller|lower) than|at least|>= ?\d|"
    r"minimum value"
)
OUT_OF_RANGE = _of_new_tokens(r"\brange\b|\bbetween\b")
LIMIT_PER_MINUTE = re.compile(r"\blimit:? (?P<limit>\d+), (?:used \d+, )?requested:? (?P<requested>\d+)", re.I)
REGION = re.compile(
    r"unsupported_country|user location is not supported|(country|region|territory)\b[^.]{0,40}\bnot "
    r"(supported|available|allowed)",
    re.I,
)
PAGE = re.compile(r"\s*<(!doctype html|html|head|title)\b", re.I)
LOADING = re.compile(r"\b(is|still|being) (currently )?(loading|starting|initializing|deployed)", re.I)
TITLE = re.compile(r"<title>(.*?)</title>", re.I | re.S)
NUMBER = re.compile(r"\b\d{4,9}\b")
COMPLETIONS = "/chat/completions"
TURNED_AWAY = frozenset({501, 503, 505, 521, 522, 523, 525, 526, 529})  # before the model saw the request

KEPT = "then run again: what is answered is kept"
FIXES = {
    401: "set DATASHOP_ANNOTATOR_KEY to a key that is valid there",
    403: "set DATASHOP_ANNOTATOR_KEY to a key that may use this model",
    407: "put the proxy's user and password into HTTPS_PROXY, or the host into NO_PROXY",
}
CHECK_ADDRESS = f"check the address: {COMPLETIONS} is added to it, so that it mostly ends in /v1"
QUOTA_FIX = f"raise the quota or add credit there, {KEPT}"
DAILY_FIX = f"wait until the quota is renewed or raise it, {KEPT}"
CREDIT_FIX = f"add credit there or lower annotator.sampling.max_tokens, {KEPT}"
REGION_FIX = "ask from a region that is served there, or another endpoint: DATASHOP_ANNOTATOR_URLS"
GATEWAY_FIX = (
    "this is a page of a gateway or firewall in front of the endpoint, not of the model's server: have it let this "
    "machine's requests in, or ask from another network"
)
FEWER_TOKENS_FIX = f"lower annotator.sampling.max_tokens, {KEPT}"
MORE_TOKENS_FIX = f"raise annotator.sampling.max_tokens, {KEPT}"
OTHER_TOKENS_FIX = f"set annotator.sampling.max_tokens to a number within that range, {KEPT}"
MODEL_FIX = "name a model that is served there as annotator.model"
PROVIDERS_FIX = (
    "allow there the providers and the data policy of this model, or name another model as annotator.model, " + KEPT
)


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


def error_of_status(status: int, body: str, wait: float = 0.0, location: str = "") -> RequestError:
    """The error that an HTTP status other than 200 stands for.

    `wait` is what `Retry-After` asks for, in seconds; `location` is where a redirection points.
    """
    message = ServerMessage.of(body)
    reason = f"status {status}: {message.words[:QUOTED]}"
    error: RequestError
    if (said := _error_in_words(status, message, body, wait)) is not None:
        error = said
    elif status in (400, 413, 422):
        error = _error_of_request(status, message, reason)
    elif 200 <= status < 300:
        error = UnreadableError(f"status {status} in place of 200, which an answer has: {message.words[:QUOTED]}")
    elif status in (408, 425, 429, 499) or status >= 500 or (status == 404 and LOADING.search(message.text)):
        error = RetryableError(
            reason,
            wait,
            busy=status in (408, 429, 503, 529),
            rate_limited=status == 429,
            processed=status in (408, 499) or (status >= 500 and status not in TURNED_AWAY),
        )
    elif status in (401, 403):
        error = WrongKeyError(f"{reason}; {FIXES[status]}")
    elif 300 <= status < 400:
        error = UnusableEndpointError(f"status {status}: {_moved(location)}")
    elif status in FIXES:
        error = UnusableEndpointError(f"{reason}; {FIXES[status]}")
    else:
        error = WrongAddressError(f"{reason}; {CHECK_ADDRESS}")
    return error


def _error_in_words(status: int, message: ServerMessage, body: str, wait: float) -> RequestError | None:
    """The error of which the words tell, and not the status: servers give it different ones."""
    reason = f"status {status}: {message.words[:QUOTED]}"
    error: RequestError | None = None
    if fix := _quota_fix(status, message, body, wait):
        error = UnusableEndpointError(f"{reason}; {fix}")
    elif status in (400, 403, 413, 422, 451) and CONTENT_FILTER.search(message.text) and not PAGE.match(body):
        error = ContentFilteredError(reason)
    elif status in (400, 403, 451) and REGION.search(message.text):
        error = ForbiddenError(f"{reason}; {REGION_FIX}")
    elif status == 400 and KEY.search(message.text):
        error = WrongKeyError(f"{reason}; {FIXES[401]}")
    elif status == 429 and _never_fits(message):
        error = PromptTooLongError(reason)
    elif status == 403 and PAGE.match(body):
        error = ForbiddenError(f"{reason}; {GATEWAY_FIX}")
    elif status in (404, 410) and PROVIDERS.search(message.text):
        error = UnusableEndpointError(f"{reason}; {PROVIDERS_FIX}")
    elif status in (403, 404, 410) and MODEL.search(message.text) and not LOADING.search(message.text):
        error = UnknownModelError(f"{reason}; {MODEL_FIX}")
    return error


def _error_of_request(status: int, message: ServerMessage, reason: str) -> RequestError:
    """The error of a request that the server read and does not like."""
    if status == 413 or CONTEXT_LENGTH.search(message.text):
        return PromptTooLongError(reason)
    if NOTHING_LEFT_TO_WRITE.search(message.text):
        return PromptTooLongError(reason)
    if fix := _new_tokens_fix(message):
        return UnusableEndpointError(f"{reason}; {fix}")
    if MODEL.search(message.text) and message.parameter in ("", "model"):
        return UnknownModelError(f"{reason}; {MODEL_FIX}")
    return RejectedError(reason, message)


def _new_tokens_fix(message: ServerMessage) -> str:
    """What to do where the server does not like the value of `max_tokens`; empty where it does not like the name."""
    text = f"{message.parameter} {message.text}"
    if NO_SUCH_PARAMETER.search(text):
        return ""
    too_much, too_little = TOO_MUCH_TO_WRITE.search(text), TOO_LITTLE_TO_WRITE.search(text)
    if OUT_OF_RANGE.search(text) or (too_much and too_little):
        return OTHER_TOKENS_FIX
    return MORE_TOKENS_FIX if too_little else FEWER_TOKENS_FIX if too_much else ""


def _quota_fix(status: int, message: ServerMessage, body: str, wait: float) -> str:
    """What to do where quota or credit is at its end; empty for any other error, and for a limit that ends soon.

    A limit by the minute is often called a quota, too, and an error about it may speak of billing.
    """
    if status == 402:
        return CREDIT_FIX
    if status not in (400, 403, 429):
        return ""
    if message.codes & QUOTA_CODES:
        return QUOTA_FIX
    if status == 429 and PER_DAY.search(body):
        return DAILY_FIX
    if QUOTA.search(message.text) and (status != 429 or not (wait or SOON.search(body))):
        return QUOTA_FIX
    return ""


def _never_fits(message: ServerMessage) -> bool:
    """Whether one request asks for more tokens than the endpoint gives in a minute, so that waiting is of no use."""
    said = LIMIT_PER_MINUTE.search(message.words)
    return said is not None and int(said["requested"]) > int(said["limit"])


def _moved(location: str) -> str:
    """The address that a redirection names is shown without its query, which may hold a key."""
    address = location.partition("?")[0].partition("#")[0].removesuffix(COMPLETIONS)[:QUOTED]
    if not address:
        return f"redirected to nowhere; {CHECK_ADDRESS}"
    return (
        f"redirected to {address}. Redirections are not followed, so that the key goes nowhere else; if you trust that "
        "address, put it into DATASHOP_ANNOTATOR_URLS"
    )
