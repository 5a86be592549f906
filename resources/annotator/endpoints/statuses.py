"""Which error a server's status and words stand for.

Servers that call themselves OpenAI-compatible agree on little but the status. `error_of_status` decides by it and by
what `ServerMessage` finds in the body.
"""

import re

from resources.annotator.endpoints.errors import (
    CHECK_ADDRESS,
    COMPLETIONS,
    QUOTED,
    ContentFilteredError,
    ForbiddenError,
    PromptTooLongError,
    RejectedError,
    RequestError,
    RetryableError,
    ServerMessage,
    UnknownModelError,
    UnreadableError,
    UnusableEndpointError,
    WrongAddressError,
    WrongKeyError,
)

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
TURNED_AWAY = frozenset({501, 503, 505, 521, 522, 523, 525, 526, 529})  # before the model saw the request

KEPT = "then run again: what is answered is kept"
FIXES = {
    401: "set DATASHOP_ANNOTATOR_KEY to a key that is valid there",
    403: "set DATASHOP_ANNOTATOR_KEY to a key that may use this model",
    407: "put the proxy's user and password into HTTPS_PROXY, or the host into NO_PROXY",
}
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
