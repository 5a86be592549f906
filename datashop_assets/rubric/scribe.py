"""Asking the annotator to write, with every call accounted for and none paid twice."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from datashop_assets.answers.asking import UNANSWERED, Asking
from datashop_assets.answers.store import AnswerStore
from datashop_assets.documents.split import content_of
from datashop_assets.protocols.annotator import (
    AnnotationRequest,
    Annotator,
    Answer,
    Ended,
    Question,
    Reading,
    Sampling,
    failed_answer,
)
from datashop_assets.protocols.progress import Bar
from datashop_assets.storage.folders import Folder

CALLS = {
    "set": pl.String,
    "step": pl.String,  # "describe", or "merge" and the round
    "document": pl.String,  # whose description this is; of a merge both names
    "ended": pl.String,
    "lost": pl.Boolean,  # nothing was written, for this reason
    "reason": pl.String,
    "reply": pl.String,
    "cut": pl.Boolean,  # less than all of the document was read
    "tokens_in": pl.Int64,
    "tokens_out": pl.Int64,
    "seconds": pl.Float64,
}
WHOLE = Reading(characters=1_000_000)  # of descriptions: what a home then takes is its own limit


@dataclass(frozen=True, slots=True)
class Piece:
    """A text to write about."""

    set: str
    name: str
    text: str


@dataclass
class Scribe:
    """Writes texts; `calls` says what came of each. A call that fails is tried `attempts` times."""

    annotator: Annotator
    answers: Folder
    model: tuple[str, str]  # name in full and revision
    sampling: Sampling
    attempts: int
    calls: list[dict[str, Any]] = field(default_factory=list)

    def write(self, step: str, prompt: str, pieces: Sequence[Piece], bar: Bar, reading: Reading = WHOLE) -> list[str]:
        """What was written about each piece, in the same order; empty where nothing was, see `reason` in `calls`."""
        question = Question(*self.model, "write", prompt, "", (), self.sampling, reading)
        answers = self._answers(question, pieces, bar)
        self.calls += [_call(step, piece, answer) for piece, answer in zip(pieces, answers, strict=True)]
        return [_written(answer) for answer in answers]

    def _answers(self, question: Question, pieces: Sequence[Piece], bar: Bar) -> list[Answer]:
        asking = Asking(self.annotator, question, AnswerStore.of(self.answers, question))
        wanted = {content_of(piece.text): piece for piece in pieces}
        for _ in range(self.attempts):
            asking.ask(
                ((content, AnnotationRequest(piece.name, piece.text, piece.set)) for content, piece in wanted.items()),
                bar,
            )
            if not asking.failures:
                break
        found = asking.store.answers(wanted)
        return [found.get(key) or failed_answer(key, asking.failures.get(key, UNANSWERED)) for key in map(_key, pieces)]


def _key(piece: Piece) -> str:
    return content_of(piece.text)


def _written(answer: Answer) -> str:
    """A text that reached the limit of tokens is one too: its beginning is what counts."""
    return answer.raw.strip() if answer.ended in (Ended.COMPLETE, Ended.LENGTH) else ""


def _call(step: str, piece: Piece, answer: Answer) -> dict[str, Any]:
    lost = not _written(answer)
    return {
        "set": piece.set,
        "step": step,
        "document": piece.name,
        "ended": str(answer.ended),
        "lost": lost,
        "reason": answer.reason
        or ("nothing was written" if answer.ended is Ended.COMPLETE else str(answer.ended)) * lost,
        "reply": answer.raw,
        "cut": answer.cut,
        "tokens_in": answer.tokens_in,
        "tokens_out": answer.tokens_out,
        "seconds": answer.seconds,
    }
