"""What a document is on its way through the graph."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

UNREADABLE: Literal["unreadable file"] = "unreadable file"  # and what it holds beyond is not known
RejectReason = Literal[
    "unreadable file",
    "line too long",
    "empty line",
    "invalid utf-8",
    "broken json",
    "not an object",
    "repeated key",
    "nested too deep",
    "unreadable value",
    "no text",
    "text is not a string",
    "blank text",
    "id is not a string or number",
    "source is not a string or number",
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
