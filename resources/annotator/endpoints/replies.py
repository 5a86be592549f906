"""What comes back from an endpoint: errors, by what can be done about them, and the parts of a chat completion.

A body that makes no sense is worth another attempt, never a guess.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from datashop_assets.protocols.annotator import Ended

QUOTED = 300  # characters of a server's own message that go into a reason
CONTEXT_LENGTH = re.compile(
    r"context.length|context_length|maximum.{0,20}length|max_model_len|too (long|many tokens)", re.I
)
CONTENT_FILTER = re.compile(r"content_filter|content_policy|responsible_ai", re.I)
NUMBER = re.compile(r"\b\d{4,9}\b")
FIXES = {
    401: "set DATASHOP_ANNOTATOR_KEY to a key that is valid there",
    403: "set DATASHOP_ANNOTATOR_KEY to a key that may use this model",
    404: "check the address and that this model is served there",
}
FINISH_REASONS = {"stop": Ended.COMPLETE, "length": Ended.LENGTH, "content_filter": Ended.REFUSED}
LOGPROB_TOLERANCE = 1e-3  # how far a log-probability may lie above zero by rounding


class RequestError(Exception):
    """A request that brought no answer. `reason` says what happened in words that a person can act on."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RetryableError(RequestError):
    """Worth another attempt, here or elsewhere, after the `wait` seconds that the server asked for.

    `busy`: the server pushed back, and should get fewer requests at a time. `rate_limited`: it said so itself (429),
    so that it is certainly up.
    """

    def __init__(self, reason: str, wait: float = 0.0, *, busy: bool = False, rate_limited: bool = False) -> None:
        super().__init__(reason)
        self.wait, self.busy, self.rate_limited = wait, busy, rate_limited


class PromptTooLongError(RequestError):
    """The model takes fewer tokens than were sent."""

    def share_that_fits(self) -> float:
        """The share of the document to keep, from the server's own numbers: largest context over largest request."""
        numbers = sorted(int(number) for number in NUMBER.findall(self.reason))
        return max(0.1, min(0.9, 0.95 * numbers[0] / numbers[-1])) if len(numbers) > 1 else 0.7


class ContentFilteredError(RequestError):
    """The server refuses this document."""


class RejectedError(RequestError):
    """This request would fail at every endpoint."""


class UnusableEndpointError(RequestError):
    """This endpoint would fail every request: no permission, no such model, no such address."""


class NoEndpointError(RequestError):
    """No endpoint is left to ask."""


def error_of_status(status: int, body: str, wait: float) -> RequestError:
    """The error that an HTTP status other than 200 stands for; `wait` is what `Retry-After` asks for, in seconds."""
    reason = f"status {status}: {' '.join(body.split())[:QUOTED]}"
    if status in (400, 413, 422):
        if CONTENT_FILTER.search(body):
            return ContentFilteredError(reason)
        return PromptTooLongError(reason) if status == 413 or CONTEXT_LENGTH.search(body) else RejectedError(reason)
    if status in (408, 425, 429) or status >= 500:
        return RetryableError(reason, wait, busy=status in (408, 429, 503), rate_limited=status == 429)
    return UnusableEndpointError(f"{reason}; {FIXES.get(status, 'check the address')}")


@dataclass(frozen=True, slots=True)
class Completion:
    """The one choice of a chat completion. `reason` is empty where it ended `complete`."""

    ended: Ended
    reason: str
    text: str
    tokens_in: int
    tokens_out: int
    server: str = ""  # its `system_fingerprint`, which vLLM makes of version, model, revision and options


def read_completion(body: dict[str, Any]) -> Completion:
    """Raises `RetryableError` for no choice, several, or anything out of place."""
    choice = _choice(body)
    message = choice.get("message")
    if not isinstance(message, dict):
        raise RetryableError("a choice without a message")
    content, refusal = message.get("content"), message.get("refusal")
    if not isinstance(content, str | None) or not isinstance(refusal, str | None):
        raise RetryableError("a message whose content is no text")
    finish_reason = choice.get("finish_reason")
    ended = Ended.REFUSED if refusal else FINISH_REASONS.get(finish_reason) if isinstance(finish_reason, str) else None
    if ended is None:
        raise RetryableError(f"an unknown end of the reply: {str(finish_reason)[:40]!r}")
    fingerprint = body.get("system_fingerprint")
    return Completion(
        ended=ended,
        reason="" if ended is Ended.COMPLETE else f"finish_reason {finish_reason}",
        text=content or refusal or "",
        tokens_in=_token_count(body, "prompt_tokens"),
        tokens_out=_token_count(body, "completion_tokens"),
        # without blanks, so that it can stand behind an address
        server="".join(fingerprint.split())[:80] if isinstance(fingerprint, str) else "",
    )


def read_probabilities(body: dict[str, Any], tokens: Sequence[int]) -> list[float]:
    """The probability of each of `tokens` as the first one of the reply, scaled to add up to one.

    Raises `RetryableError` where one is missing or no number, and `UnusableEndpointError` where the server sends no
    log-probabilities by token at all.
    """
    logprobs = _choice(body).get("logprobs")
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    if content is None:
        raise UnusableEndpointError("sends no log-probabilities of chosen tokens; `scoring: generate` works there")
    try:
        entries = [content[0], *content[0]["top_logprobs"]]
        by_token = {str(entry["token"]): float(entry["logprob"]) for entry in entries}
        wanted = [by_token[f"token_id:{token}"] for token in tokens]
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise RetryableError(f"log-probabilities are missing: {type(error).__name__} {error}"[:100]) from None
    if any(math.isnan(value) or value > LOGPROB_TOLERANCE for value in wanted):
        raise RetryableError("a log-probability that is no number below zero")
    odds = [math.exp(value - max(wanted)) if max(wanted) > -math.inf else math.nan for value in wanted]
    if not math.isfinite(sum(odds)):
        raise RetryableError("every option has probability zero")
    return [value / sum(odds) for value in odds]


def read_token_ids(body: dict[str, Any]) -> list[int]:
    """The tokens that `/tokenize` answers with. Raises `RetryableError` where there are none."""
    try:
        return [int(token) for token in body["tokens"]]
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise RetryableError(f"a count without tokens: {type(error).__name__} {error}"[:100]) from None


def _choice(body: dict[str, Any]) -> dict[str, Any]:
    choices = body.get("choices")
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
        number = len(choices) if isinstance(choices, list) else "no list of"
        # gateways in front of several models report errors with status 200
        error = body.get("error")
        message = error.get("message") if isinstance(error, dict) else error
        quoted = f": {' '.join(message.split())[:QUOTED]}" if isinstance(message, str) and message else ""
        raise RetryableError(f"{number} choices where one was asked for{quoted}")
    return choices[0]


def _token_count(body: dict[str, Any], name: str) -> int:
    """0 where the server does not say, or says nonsense."""
    usage = body.get("usage")
    count = usage.get(name) if isinstance(usage, dict) else 0
    return count if isinstance(count, int) and 0 <= count < 2**40 else 0
