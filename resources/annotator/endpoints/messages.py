"""What a chat completion's message says, wherever a server puts the words, and how its reply ended.

The answer is `content`: a text, or a list of parts. Thinking stands in parts of its own, or in `reasoning_content`
(vLLM, DeepSeek), `reasoning` (vLLM since 0.12, OpenRouter) or `thinking` (Ollama). It is kept in front of the answer in
`<think>` marks, since it is paid for, and is never read as the answer.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from datashop_assets.protocols.annotator import CUT, Ended

# As servers and the gateways in front of them write it, whatever the model's maker calls it. Compared in lower case, by
# what stands before a colon (`content_filter: PROHIBITED_CONTENT`).
_ENDS: dict[Ended, frozenset[str]] = {
    Ended.COMPLETE: frozenset(
        (
            "stop",
            "eos",
            "eos_token",
            "end",
            "end_turn",
            "end_of_turn",
            "stop_sequence",
            "completed",
            "complete",
            "finished",
        )
    ),
    Ended.LENGTH: frozenset(("length", "max_tokens", "max_length", "max_output_tokens", "model_length", "token_limit")),
    Ended.REFUSED: frozenset(
        ("content_filter", "safety", "recitation", "prohibited_content", "blocklist", "spii", "sensitive", "refusal")
    ),
    Ended.FAILED: frozenset(
        (
            "error",
            "abort",
            "aborted",
            "cancelled",
            "canceled",
            "timeout",
            "network_error",
            "server_error",
            "internal_error",
            "insufficient_system_resource",
        )
    ),
}
_CUT = re.compile(r"max_?(\w+_)?tokens?|(token|length)_?limit")  # in names of an end
_OTHER_LIMIT = re.compile(r"time_?limit|context_?(length|window)")
_THINKING_FIELDS = ("reasoning_content", "reasoning", "thinking")
_THINKING_PARTS = ("thinking", "reasoning", "redacted_thinking")


@dataclass(frozen=True, slots=True)
class Message:
    """`text` is all that the model wrote; `note` says where the words are where none are in the content."""

    text: str
    refused: bool = False
    note: str = ""


def read_message(choice: Mapping[str, Any]) -> Message:
    """A refusal or a cut needs no message: Gemini leaves it out. Raises `ValueError` for any other choice that holds
    none, or one whose content cannot be words.
    """
    message = choice.get("message")
    if message is None and isinstance(choice.get("text"), str):
        message = {"content": choice["text"]}
    elif message is None and _known_end(choice.get("finish_reason")) in (Ended.REFUSED, *CUT):
        message = {}
    if not isinstance(message, dict):
        raise ValueError("a choice without a message")
    content, refusal = message.get("content"), message.get("refusal")
    if not isinstance(content, str | list | dict | None) or not isinstance(refusal, str | None):
        raise ValueError("a message whose content is no text")
    said = list(_parts(content))
    words = {kind: "".join(text for one, text in said if one == kind) for kind in ("text", "thinking", "refusal")}
    fields = (name for name in _THINKING_FIELDS if isinstance(message.get(name), str) and message[name].strip())
    field = next(fields, "")
    answer, thinking = words["text"], words["thinking"] or (message[field] if field else "")
    refusal = refusal or words["refusal"]
    text = answer or refusal
    if thinking and "</think>" not in answer:
        text = f"<think>\n{thinking}\n</think>\n\n{text}"
    if answer.strip() or refusal:
        return Message(text, refused=bool(refusal))
    if words["thinking"]:
        return Message(text, note="the content holds thinking only")
    if field:
        return Message(text, note=f"the content is empty, the words are in {field!r}")
    if isinstance(message.get("tool_calls"), list) and message["tool_calls"]:
        return Message(json.dumps(message["tool_calls"]), note="the reply is a tool call")
    kinds = sorted({kind for kind, _ in said} - words.keys())
    return Message(text, note=f"the content has parts of type {', '.join(kinds)} only"[:200] if kinds else "")


def _parts(content: Any) -> Iterator[tuple[str, str]]:
    """Kind and words of each part: "text", "thinking" or "refusal"; of what holds no words its own type and nothing."""
    match content:
        case str():
            yield "text", content
        case list():
            for part in content:
                yield from _parts(part)
        case {"type": str(kind)} if kind in _THINKING_PARTS:
            names = ("thinking", "reasoning", "text", "summary")
            inside = next((content[name] for name in names if content.get(name)), "")
            yield "thinking", "".join(text for _, text in _parts(inside))
        case {"type": "refusal", "refusal": str(refusal)}:
            yield "refusal", refusal
        case {"text": str(text)} | {"text": {"value": str(text)}}:
            yield "text", text
        case {"type": str(kind)}:
            yield kind, ""
        case dict():
            yield "text", json.dumps(content)  # an answer in JSON that is not wrapped in a text


def end_of_reply(finish_reason: Any, *, at_limit: bool) -> tuple[Ended, str]:
    """How a reply ended, and what is to be said of it; empty for a reply that ended as it should.

    A reply whose end is not given, or has a name that is not known, counts as complete unless it reached the limit of
    tokens (`at_limit`).
    """
    if ended := _known_end(finish_reason):
        return ended, "" if ended is Ended.COMPLETE else f"finish_reason {finish_reason[:80]}"
    known = Ended.LENGTH if at_limit else Ended.COMPLETE
    if finish_reason in (None, ""):
        return known, "the server does not say how the reply ended"
    return known, f"the reply ended for an unknown reason, {str(finish_reason)[:40]!r}"


def _known_end(finish_reason: Any) -> Ended | None:
    if not isinstance(finish_reason, str):
        return None
    name = finish_reason.partition(":")[0].strip().lower().removeprefix("finish_reason_")
    if found := next((ended for ended, names in _ENDS.items() if name in names), None):
        return found
    if _OTHER_LIMIT.search(name):
        return Ended.OTHER_LIMIT
    return Ended.LENGTH if _CUT.search(name) else None
