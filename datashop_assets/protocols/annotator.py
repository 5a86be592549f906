"""What the graph agrees on with any annotator, wherever it runs."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from datashop_assets.protocols.documents import Document


class Status(StrEnum):
    """How an asked document ended. Every one ends in exactly one of these."""

    PARSED = "parsed"
    REPAIRED = "repaired"
    TRUNCATED = "truncated"
    REFUSED = "refused"
    UNPARSED = "unparsed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of every document, resolved: no default is left to fill in.

    `prompt` holds `{example}` exactly once, replaced literally by the document. For scoring by likelihood the
    assistant's turn begins with `answer_begins`, and the answer is the softmax over the first token of each option.
    """

    model: str
    scoring: str  # "likelihood"
    prompt: str
    answer_begins: str
    options: tuple[str, ...]
    targets: tuple[str, ...]
    read_characters: int


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer about one document, with everything that is needed to trust or doubt it."""

    id: str
    status: Status
    reason: str  # empty where status is `parsed`
    raw: str  # the model's own reply; for likelihood the probability of every option, as JSON
    score: int | None  # 0..5
    expected_score: float | None  # 0..5
    text: str  # what the annotator read, and the encoder will read
    cut: bool  # whether `text` is less than the document
    tokens_in: int
    tokens_out: int
    seconds: float  # this document's share of its batch


class Annotator(Protocol):
    """Documents in, replies out, one for each document and in the same order, streamed."""

    def annotate(self, documents: Iterable[Document], question: Question) -> Iterator[Reply]: ...
