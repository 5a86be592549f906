"""What a document is on its way through the graph."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

RejectReason = Literal[
    "truncated",
    "line too long",
    "empty line",
    "invalid utf-8",
    "broken json",
    "not an object",
    "nested too deep",
    "unreadable value",
    "no text",
    "text is not a string",
    "blank text",
    "id is not a string",
    "source is not a string",
]


@dataclass(frozen=True, slots=True)
class Document:
    """One text of a pool. `fields` is the whole row as it was read, so that a kept document loses nothing."""

    id: str
    text: str
    source: str
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that is no document, with the reason and the place where it stands."""

    reason: RejectReason
    place: str  # "file.jsonl.zst line 12"
    detail: str = ""
