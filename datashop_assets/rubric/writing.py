"""The rubric as it will be used: the prompt file's own, or one that the annotator writes from target documents.

Writing follows MEDU (Held et al., 2025): every target document is described, the descriptions of a set are merged in
pairs, and the rubric asks for texts of the same use. Every set is merged by itself, so that a large one does not crowd
out a small one. Calls go through the answer store, so that none is paid twice, and `calls.parquet` accounts for each.
"""

import heapq
import html
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from datashop_assets.asking.collecting import UNANSWERED, AnswerCollector, AskingStoppedError
from datashop_assets.asking.spending import Spending, SpendingLimits
from datashop_assets.asking.store import AnswerStore
from datashop_assets.asking.turns import turn_of
from datashop_assets.asking.usage import TokensSpent
from datashop_assets.core.step import AnsweredBy, StepOutput, StepRun
from datashop_assets.documents.reading import read_source
from datashop_assets.documents.sources import FIELDS, DocumentSource
from datashop_assets.documents.split import content_of
from datashop_assets.markdown import escaped, table
from datashop_assets.prompts.settings import TargetSet, Writing
from datashop_assets.protocols.annotator import (
    CUT,
    AnnotationRequest,
    Annotator,
    Answer,
    Ended,
    Question,
    Reading,
    Sampling,
    failed_answer,
)
from datashop_assets.protocols.documents import Document
from datashop_assets.protocols.progress import Bar
from datashop_assets.rubric.results import (
    RUBRIC_FILE,
    Rubric,
    RubricConfig,
    RubricResult,
    WritingConfig,
    WritingResult,
    read_rubric,
)
from datashop_assets.rubric.wording import DESCRIBE, MERGE, pair, wrapped
from datashop_assets.storage.digests import keyed_hash
from datashop_assets.storage.folders import Folder

CALLS_FILE = "calls.parquet"
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
WHOLE = Reading(characters=1_000_000)  # of descriptions: what a model then takes is its own limit


def build(run: StepRun[RubricConfig]) -> RubricResult:
    """Writes `rubric.json`.

    Raises `ValueError` where too few target documents could be described, or descriptions not be merged.
    """
    if run.config.written is not None:
        rubric, result = _written(run, run.config.written)
    else:
        assert run.config.text is not None, "a rubric is given or written"
        rubric = Rubric(text=run.config.text, origin="given")
        result = RubricResult(characters=len(rubric.text), origin="given")
    run.output.put_bytes(RUBRIC_FILE, orjson.dumps(rubric.model_dump(exclude_none=True), option=orjson.OPT_INDENT_2))
    return result


def _written(run: StepRun[RubricConfig], config: WritingConfig) -> tuple[Rubric, RubricResult]:
    settings, annotator = config.settings, run.annotator
    model, revision = annotator.identity(config.model)
    identity = (model, config.revision or revision)
    sampling = Sampling(**settings.sampling.model_dump())
    writer = TextWriter(annotator, run.answers, identity, sampling, settings.attempts, run.limits, run.output.scratch)
    sets = {name: target_documents(name, one.documents, run.cache, run.data) for name, one in config.targets.items()}
    descriptions: dict[str, str] = {}
    calls = sum(2 * len(one.documents) - 1 for one in sets.values())
    with run.resources.progress.bar("rubric", calls, "descriptions") as bar:
        for name, targets in sets.items():
            pieces = [Piece(name, document, text) for document, text in targets.documents]
            descriptions[name] = _merged(writer, _described(writer, pieces, settings, bar), settings.seed, bar)
    run.output.write_rows(CALLS_FILE, writer.calls, CALLS, volatile=("seconds",), beside=True)
    rubric = Rubric(text=wrapped(descriptions, settings.characters), origin="written", sets=descriptions)
    writing = _result(writer, sets)
    return rubric, RubricResult(
        characters=len(rubric.text),
        origin="written",
        writing=writing,
        tokens_in=writing.tokens_in,
        tokens_out=writing.tokens_out,
        spent=sum(writer.spent.values(), TokensSpent()),
        answered_by=AnsweredBy(model=model, revision=identity[1], pinned=bool(config.revision)),
    )


def _result(writer: "TextWriter", sets: Mapping[str, "TargetDocuments"]) -> WritingResult:
    calls = writer.calls
    asked = [call for call in calls if call["step"] == "describe"]
    left_out = [call for call in asked if call["lost"]]
    return WritingResult(
        documents={name: len(one.documents) for name, one in sets.items()},
        rejected={name: one.rejected for name, one in sets.items() if one.rejected},
        described=len(asked) - len(left_out),
        left_out=[f"{call['set']}: {call['document']}: {call['reason']}" for call in left_out],
        calls=len(calls),
        by_ending=dict(Counter(call["ended"] for call in calls)),
        cut=sum(call["cut"] for call in calls),
        tokens_in=sum(call["tokens_in"] for call in calls),
        tokens_out=sum(call["tokens_out"] for call in calls),
    )


@dataclass(frozen=True)
class TargetDocuments:
    """The documents of one set, name and text, each text once, and how many rows of its file were no documents."""

    documents: tuple[tuple[str, str], ...]
    rejected: int = 0


def target_documents(name: str, wanted: TargetSet, cache: Path, data: Path) -> TargetDocuments:
    """Texts as they are listed; of a file `documents` drawn by the hash of their text, whatever their order.

    Raises `ValueError` for a file without a document.
    """
    if wanted.texts:
        unique = dict.fromkeys(wanted.texts)
        return TargetDocuments(tuple((f"{name} {number}", text) for number, text in enumerate(unique, start=1)))
    rejected = 0

    def found() -> Iterator[tuple[int, tuple[str, str]]]:
        nonlocal rejected
        fields = wanted.model_dump(include=FIELDS)
        source = DocumentSource(uri=wanted.uri, on_unreadable=wanted.on_unreadable, fingerprint="", **fields)
        for _, _, one in read_source(source, cache, data):
            if isinstance(one, Document):
                yield keyed_hash("rubric targets", content_of(one.text)), (one.id, one.text)
            else:
                rejected += 1

    drawn = _smallest(found(), wanted.documents)
    if not drawn:
        raise ValueError(
            f"targets.{name}: no document in {wanted.uri!r} ({rejected} rows are none); correct `uri` or `text_field`"
        )
    return TargetDocuments(tuple(drawn), rejected)


def _smallest(keyed: Iterator[tuple[int, tuple[str, str]]], count: int) -> list[tuple[str, str]]:
    """The `count` smallest by key, each text once, in the order of their keys. Memory holds as many."""
    kept: list[tuple[int, tuple[str, str]]] = []  # a heap, the largest first
    inside: set[int] = set()
    for key, target in keyed:
        if key in inside or (len(kept) == count and key >= -kept[0][0]):
            continue
        inside.add(key)
        if len(kept) < count:
            heapq.heappush(kept, (-key, target))
        else:
            inside.remove(-heapq.heapreplace(kept, (-key, target))[0])
    return [target for _, target in sorted(kept, reverse=True)]


@dataclass(frozen=True, slots=True)
class Piece:
    """A text to write about."""

    set: str
    name: str
    text: str


def _described(writer: "TextWriter", documents: Sequence[Piece], settings: Writing, bar: Bar) -> list[Piece]:
    """The descriptions of one set's documents. Those without one are left out, with their reason in `writer.calls`."""
    texts = writer.write("describe", DESCRIBE, documents, bar, Reading(settings.read_characters))
    found = [Piece(one.set, one.name, text) for one, text in zip(documents, texts, strict=True) if text]
    if len(found) < max(1, settings.described * len(documents)):
        lost = next(call for call in writer.calls if call["set"] == documents[0].set and call["lost"])
        raise ValueError(
            f"targets.{documents[0].set}: only {len(found)} of {len(documents)} documents could be described, "
            f"{settings.described:.0%} are needed; the first that could not: {lost['document']!r} ({lost['reason']}). "
            "Run again if the annotator was away; else replace the document, or lower writing.described"
        )
    return found


def _merged(writer: "TextWriter", descriptions: Sequence[Piece], seed: int, bar: Bar) -> str:
    """One description, merged in pairs round by round in an order that `seed` and the texts give.

    An odd one waits a round.
    """
    order = sorted(descriptions, key=lambda one: keyed_hash(f"merge {seed}", one.text))
    number = 0
    while len(order) > 1:
        number += 1
        couples = list(zip(order[::2], order[1::2], strict=False))
        asked = [Piece(one.set, f"{one.name} + {other.name}", pair(one.text, other.text)) for one, other in couples]
        texts = writer.write(f"merge {number}", MERGE, asked, bar)
        if "" in texts:
            lost = writer.calls[texts.index("") - len(texts)]
            raise ValueError(
                f"targets.{lost['set']}: the descriptions of {lost['document']} could not be merged "
                f"({lost['reason']}). Run again if the annotator was away; else change writing.seed"
            )
        odd = order[len(couples) * 2 :]
        order = [Piece(one.set, one.name, text) for one, text in zip(asked, texts, strict=True)] + odd
    return order[0].text


@dataclass
class TextWriter:
    """Has the annotator write texts; `calls` says what came of each. A call that fails is tried `attempts` times."""

    annotator: Annotator
    answers: Folder
    model: tuple[str, str]  # name in full and revision
    sampling: Sampling
    attempts: int
    limits: SpendingLimits  # for each of the two questions
    scratch: Path
    calls: list[dict[str, Any]] = field(default_factory=list)
    spent: dict[str, TokensSpent] = field(default_factory=dict)  # by the digest of the question

    def write(self, step: str, prompt: str, pieces: Sequence[Piece], bar: Bar, reading: Reading = WHOLE) -> list[str]:
        """What was written about each piece, in the same order; empty where nothing was, see `reason` in `calls`."""
        question = Question(*self.model, "write", prompt, "", (), self.sampling, reading)
        answers = self._answers(question, pieces, bar)
        self.calls += [_call(step, piece, answer) for piece, answer in zip(pieces, answers, strict=True)]
        return [_text(answer) for answer in answers]

    def _answers(self, question: Question, pieces: Sequence[Piece], bar: Bar) -> list[Answer]:
        store = AnswerStore.of(self.answers, question)
        spending = Spending.so_far(self.limits, question, store, self.scratch)
        collector = AnswerCollector(self.annotator, question, store, spending)
        keys = [content_of(piece.text) for piece in pieces]
        requests = {
            key: AnnotationRequest(piece.name, piece.text, piece.set) for key, piece in zip(keys, pieces, strict=True)
        }
        try:
            for _ in range(self.attempts):
                collector.ask(requests.items(), bar)
                if not collector.failures:
                    break
        except AskingStoppedError as stop:
            raise spending.stopped(collector.asked, stop.unasked) from stop
        found = collector.store.answers(requests)
        before = self.spent.get(question.digest, TokensSpent())
        spent = TokensSpent.of(question, found.values(), store.lost_tokens() - before.lost)
        self.spent[question.digest] = before + spent
        return [found.get(key) or failed_answer(key, collector.failures.get(key, UNANSWERED)) for key in keys]


def _text(answer: Answer) -> str:
    """A text that reached the limit of tokens is one too: its beginning is what counts."""
    return turn_of(answer.raw).answer.strip() if answer.ended in (Ended.COMPLETE, *CUT) else ""


def _call(step: str, piece: Piece, answer: Answer) -> dict[str, Any]:
    lost = not _text(answer)
    return {
        "set": piece.set,
        "step": step,
        "document": piece.name,
        "ended": str(answer.ended),
        "lost": lost,
        "reason": answer.reason
        or (turn_of(answer.raw).reason if answer.ended is Ended.COMPLETE else str(answer.ended)) * lost,
        "reply": answer.raw,
        "cut": answer.cut,
        "tokens_in": answer.tokens_in,
        "tokens_out": answer.tokens_out,
        "seconds": answer.seconds,
    }


def describe(output: StepOutput[RubricResult]) -> Mapping[str, str]:
    """Title -> Markdown: the text, escaped and with its lines, and of a written rubric how it came to be."""
    rubric, writing = read_rubric(output), output.result.writing
    shown = {f"rubric ({rubric.origin})": f"<pre>{html.escape(rubric.text)}</pre>"}
    if writing is None:
        return shown
    sets = table(("targets", "documents"), [(escaped(name), count) for name, count in writing.documents.items()])
    left_out = "; ".join(escaped(one) for one in writing.left_out) or "none"
    said = (
        f"{writing.calls} calls, {writing.tokens_in} tokens read and {writing.tokens_out} written; "
        f"of {writing.cut} texts less than all was read. Documents left out: {left_out}. "
        "`datashop prompts pin` puts this text into the prompt file."
    )
    return {**shown, "how it was written": f"{sets}\n\n{said}"}
