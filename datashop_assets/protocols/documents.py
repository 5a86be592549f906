"""What a document is on its way through the graph."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


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

    reason: str  # a short name that can be counted: "no text", "text is not a string", "broken json", ...
    place: str  # "file.jsonl.zst line 12"
    detail: str = ""
