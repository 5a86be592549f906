"""What comes back from an endpoint that answers: the parts of a chat completion.

A body that makes no sense is worth another attempt, never a guess.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from datashop_assets.protocols.annotator import Ended
from resources.annotator.endpoints.errors import (
    CHECK_ADDRESS,
    QUOTED,
    RetryableError,
    ServerMessage,
    UnusableEndpointError,
    WrongAddressError,
)
from resources.annotator.endpoints.messages import end_of_reply, read_message

LOGPROB_TOLERANCE = 1e-3  # how far a log-probability may lie above zero by rounding


@dataclass(frozen=True, slots=True)
class Completion:
    """The one choice of a chat completion. `reason` says what was odd about it: how it ended, where its words are."""

    ended: Ended
    reason: str
    text: str
    tokens_in: int
    tokens_out: int
    server: str = ""  # its `system_fingerprint`, which vLLM makes of version, model, revision and options
    model: str = ""  # that it says has answered


def read_completion(body: dict[str, Any], limit: int | None = None) -> Completion:
    """`limit`: the new tokens that were asked for, which tell a cut where the server does not say how a reply ended.

    Raises `RetryableError` for no choice, several, one with an error, or anything out of place, and `WrongAddressError`
    for the answer of another interface.
    """
    choice = _choice(body)
    try:
        message = read_message(choice)
    except (ValueError, RecursionError) as error:
        raise RetryableError(str(error)) from None
    tokens_in, tokens_out = _usage(body, message.text)
    ended, said = end_of_reply(choice.get("finish_reason"), at_limit=limit is not None and tokens_out >= limit)
    if ended is Ended.FAILED:
        raise RetryableError(f"the reply was broken off: {said}")
    fingerprint, model = body.get("system_fingerprint"), body.get("model")
    return Completion(
        ended=Ended.REFUSED if message.refused else ended,
        reason="; ".join(filter(None, (message.note, said))),
        text=message.text,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        # without blanks, so that it can stand behind an address
        server="".join(fingerprint.split())[:80] if isinstance(fingerprint, str) else "",
        model=model if isinstance(model, str) else "",
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
        if interface := _other_interface(body):
            raise WrongAddressError(f"the answer is no chat completion but one of {interface}; {CHECK_ADDRESS}")
        number = len(choices) if isinstance(choices, list) else "no list of"
        # gateways in front of several models report errors with status 200
        raise RetryableError(f"{number} choices where one was asked for{_quoted(body)}")
    if error := choices[0].get("error"):  # OpenRouter: the provider behind it failed, perhaps within the reply
        raise RetryableError(f"the reply was broken off{_quoted({'error': error})}")
    return choices[0]


def _quoted(body: dict[str, Any]) -> str:
    words = ServerMessage.in_object(body).words[:QUOTED]
    return f": {words}" if words else ""


def _other_interface(body: dict[str, Any]) -> str:
    """Whose form a body without choices has; empty where it is none that is known."""
    match body:
        case {"done": bool(), "message": dict()} | {"done": bool(), "response": str()}:
            return "Ollama's own interface"
        case {"type": "message", "content": list()}:
            return "Anthropic's own interface"
        case {"candidates": list()}:
            return "Gemini's own interface"
        case {"object": "response", "output": list()}:
            return "the interface /responses"
        case {"output": {"text": str()} | {"choices": list()}}:
            return "DashScope's own interface"
    return ""


def _usage(body: dict[str, Any], text: str) -> tuple[int, int]:
    """Tokens in and out. What the total has beyond both is thinking that some servers leave out of the completion.

    Where only the total is said, all of it but one token of a reply that has words stands for what was read. A half of
    which the server says nothing is 0: whoever counts the tokens then estimates it.
    """
    read = _token_count(body, "prompt_tokens", "input_tokens")
    written = _token_count(body, "completion_tokens", "output_tokens")
    total = _token_count(body, "total_tokens")
    if read:
        return read, max(written, total - read)
    written = max(written, min(total, 1 if text else 0))
    return max(0, total - written), written


def _token_count(body: dict[str, Any], *names: str) -> int:
    """Under the first of these names that is there; 0 where the server does not say, or says nonsense."""
    usage = body.get("usage")
    for name in names:
        count = usage.get(name) if isinstance(usage, dict) else None
        if isinstance(count, str) and count.isascii() and count.isdecimal() and len(count) < 16:
            count = int(count)
        if (
            isinstance(count, int | float)
            and not isinstance(count, bool)
            and 0 <= count < 2**40
            and count == int(count)
        ):
            return int(count)
    return 0
