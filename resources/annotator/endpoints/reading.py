"""What a chat completion says, checked: a body that makes no sense is worth another attempt, never a guess."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from datashop_assets.protocols.annotator import Ended
from resources.annotator.endpoints.failures import SAID, TryAgain, Unusable

ENDS = {"stop": Ended.COMPLETE, "length": Ended.LENGTH, "content_filter": Ended.REFUSED}
SUMMED = 1e-3  # what probabilities over all options may miss of more than one; beyond it they are no probabilities


@dataclass(frozen=True, slots=True)
class Said:
    ended: Ended
    reason: str
    raw: str
    tokens_in: int
    tokens_out: int
    server: str = ""  # its `system_fingerprint`, which vLLM makes of version, model, revision and options


def said(body: dict[str, Any]) -> Said:
    """The one choice of a completion. Raises `TryAgain` for none, several, or anything out of place."""
    choice = _choice(body)
    message = choice.get("message")
    if not isinstance(message, dict):
        raise TryAgain("a choice without a message")
    content, refusal = message.get("content"), message.get("refusal")
    if not isinstance(content, str | None) or not isinstance(refusal, str | None):
        raise TryAgain("a message whose content is no text")
    why = choice.get("finish_reason")
    ended = Ended.REFUSED if refusal else ENDS.get(why) if isinstance(why, str) else None
    if ended is None:
        raise TryAgain(f"an unknown end of the reply: {str(why)[:40]!r}")
    reason = "" if ended is Ended.COMPLETE else f"finish_reason {why}"
    return Said(ended, reason, content or refusal or "", *_usage(body), _server(body))


def probabilities(body: dict[str, Any], tokens: Sequence[int]) -> list[float]:
    """The probability of each of `tokens` as the first one of the reply, scaled to add up to one.

    Raises `TryAgain` where one is missing or no number, and `Unusable` where the server sends no log-probabilities by
    token at all.
    """
    logprobs = _choice(body).get("logprobs")
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    if content is None:
        raise Unusable("sends no log-probabilities of chosen tokens; `scoring: generate` works there")
    try:
        entries = [content[0], *content[0]["top_logprobs"]]
        found = {str(entry["token"]): float(entry["logprob"]) for entry in entries}
        wanted = [found[f"token_id:{token}"] for token in tokens]
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise TryAgain(f"log-probabilities are missing: {type(error).__name__} {error}"[:100]) from None
    return _normalised(wanted)


def token_ids(body: dict[str, Any]) -> list[int]:
    """The tokens that `/tokenize` answers with. Raises `TryAgain` where there are none."""
    try:
        return [int(token) for token in body["tokens"]]
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise TryAgain(f"a count without tokens: {type(error).__name__} {error}"[:100]) from None


def _normalised(logprobs: Sequence[float]) -> list[float]:
    if any(math.isnan(value) or value > SUMMED for value in logprobs):
        raise TryAgain("a log-probability that is no number below zero")
    odds = [math.exp(value - max(logprobs)) if max(logprobs) > -math.inf else math.nan for value in logprobs]
    if not math.isfinite(sum(odds)):
        raise TryAgain("every option has probability zero")
    return [value / sum(odds) for value in odds]


def _choice(body: dict[str, Any]) -> dict[str, Any]:
    choices = body.get("choices")
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
        number = len(choices) if isinstance(choices, list) else "no list of"
        raise TryAgain(f"{number} choices where one was asked for{_complaint(body)}")
    return choices[0]


def _complaint(body: dict[str, Any]) -> str:
    """What a server says is wrong, where it says so with status 200, as gateways in front of several models do."""
    error = body.get("error")
    said = error.get("message") if isinstance(error, dict) else error
    return f": {' '.join(said.split())[:SAID]}" if isinstance(said, str) and said else ""


def _server(body: dict[str, Any]) -> str:
    """In one line without blanks, so that it can stand behind an address."""
    named = body.get("system_fingerprint")
    return "".join(named.split())[:80] if isinstance(named, str) else ""


def _usage(body: dict[str, Any]) -> tuple[int, int]:
    usage = body.get("usage")
    counts = [usage.get(name) if isinstance(usage, dict) else 0 for name in ("prompt_tokens", "completion_tokens")]
    return tuple(count if isinstance(count, int) and 0 <= count < 2**40 else 0 for count in counts)  # type: ignore[return-value]
