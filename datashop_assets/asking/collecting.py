"""Asking an annotator for the answers that the store does not have, and the scores that these answers give."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path

from datashop_assets.asking.replies import Judge
from datashop_assets.asking.spending import NO_LIMITS, Spending, SpendingLimits
from datashop_assets.asking.store import AnswerStore, AnswerWriter, answers_in_order, key_of, to_line
from datashop_assets.asking.usage import TokensSpent
from datashop_assets.protocols.annotator import AnnotationRequest, Annotator, Answer, Ended, Question
from datashop_assets.protocols.documents import Document
from datashop_assets.protocols.progress import Bar
from datashop_assets.storage.digests import digest_of_bytes
from datashop_assets.storage.folders import Folder

UNANSWERED = "the annotator gave no answer"
Request = tuple[str, AnnotationRequest]  # the digest of the document's content, and what is asked about it


class AskingStoppedError(Exception):
    """The budget had no room for all documents. What was answered is kept."""

    def __init__(self, unasked: int) -> None:
        super().__init__(f"{unasked} documents were not asked")
        self.unasked = unasked


@dataclass
class AnswerCollector:
    """Puts one question to documents. `failures` says of each key whose call failed why; the next `ask` tries it again.

    A request is sent when `spending` has room for it. Where it has none, what is under way is waited for, which may
    leave some; what then has no room is not asked.
    """

    annotator: Annotator
    question: Question
    store: AnswerStore
    spending: Spending | None = None  # None: without a limit
    failures: dict[str, str] = field(default_factory=dict)
    asked: int = 0  # documents sent to the annotator
    unasked: int = 0  # documents that were not sent because the budget had no room

    def ask(self, requests: Iterable[Request], bar: Bar) -> None:
        """Answers flow: without groups all documents are one stream.

        Groups are counted over all documents, asked already or not, so that a run that was killed and goes on forms the
        same ones. Raises `AskingStoppedError`.
        """
        known, group = self.store.keys(), self.annotator.group
        with (
            AnswerWriter(self.store, grouped=group is not None) as writer,
            self.spending.noted() if self.spending is not None else nullcontext(),
        ):
            for batch in _batches(requests, group):
                missing = self._missing(batch, known, bar)
                if group is None:
                    self._put_while_room(missing, writer, bar)
                else:
                    self._put_group(list(missing), writer, bar)
                writer.flush()
        if self.unasked:
            raise AskingStoppedError(self.unasked)

    def _missing(self, batch: Iterable[Request], known: set[str], bar: Bar) -> Iterator[AnnotationRequest]:
        """Each unanswered document once, with its key as its name."""
        for content, request in batch:
            key = key_of(content, request.constrain)
            if key in known:
                bar.skip()
            else:
                known.add(key)
                yield replace(request, id=key, meter=self.spending)

    def _put_while_room(self, missing: Iterator[AnnotationRequest], writer: AnswerWriter, bar: Bar) -> None:
        """One stream, or several, each of which begins when the answers of the one before have left room again."""
        held = next(missing, None)
        while held is not None and self._has_room([held]):
            stream = _Stream(held, missing, self._has_room)
            given_back = self._put(stream, writer, bar)
            missing = chain(given_back, () if stream.held is None else (stream.held,), missing)
            held = next(missing, None)
        if held is not None:
            self.unasked += 1 + sum(1 for _ in missing)

    def _put_group(self, requests: list[AnnotationRequest], writer: AnswerWriter, bar: Bar) -> None:
        """All of a group or none of it."""
        if requests and not self.unasked and self._has_room(requests):
            self.unasked += len(self._put(requests, writer, bar))
        else:
            self.unasked += len(requests)

    def _has_room(self, requests: Sequence[AnnotationRequest]) -> bool:
        return self.spending is None or self.spending.reserve(requests)

    def _put(self, requests: Iterable[AnnotationRequest], writer: AnswerWriter, bar: Bar) -> list[AnnotationRequest]:
        """Keeps the answers as they come. Returns the requests that were given back, for want of room."""
        waiting: dict[str, AnnotationRequest] = {}

        def sent() -> Iterator[AnnotationRequest]:
            for request in requests:
                waiting[request.id] = request
                yield request

        for answer in self.annotator.answer(sent(), self.question):
            if answer.id not in waiting:
                raise ValueError(
                    f"the annotator answered about {answer.id!r}, which was not asked or is answered already"
                )
            del waiting[answer.id]
            self._keep(answer, writer)
            bar.advance()
            if self.spending is not None:
                self.spending.settle(answer)
        given_back = []
        if self.spending is not None:
            given_back = [waiting.pop(key) for key in self.spending.given_back() if key in waiting]
            self.spending.release(waiting)
        self.failures.update(dict.fromkeys(waiting, UNANSWERED))
        return given_back

    def _keep(self, answer: Answer, writer: AnswerWriter) -> None:
        self.asked += 1
        self.failures.pop(answer.id, None)
        if answer.ended is Ended.FAILED:
            self.failures[answer.id] = answer.reason or "no reason given"
        else:
            try:
                writer.add(to_line(answer.id, answer))
            except TypeError as error:
                self.failures[answer.id] = f"the answer cannot be kept: {error}"


@dataclass
class _Stream:
    """Requests while there is room. `held` is the first that has none; the rest are still in `missing`."""

    first: AnnotationRequest
    missing: Iterator[AnnotationRequest]
    has_room: Callable[[Sequence[AnnotationRequest]], bool]
    held: AnnotationRequest | None = None

    def __iter__(self) -> Iterator[AnnotationRequest]:
        yield self.first
        for request in self.missing:
            if not self.has_room([request]):
                self.held = request
                return
            yield request


def _batches(requests: Iterable[Request], group: int | None) -> Iterator[Iterable[Request]]:
    remaining = iter(requests)
    if group is None:
        yield remaining
        return
    while batch := list(islice(remaining, group)):
        yield batch


@dataclass
class DocumentScorer:
    """Scores documents by one question, through the answer store, where the first reply is all that is wanted."""

    annotator: Annotator
    question: Question
    judge: Judge
    answers: Folder  # of all questions
    scratch: Path
    limits: SpendingLimits = NO_LIMITS
    spent: TokensSpent = field(default=TokensSpent(), init=False)  # on what was scored

    def scores(self, contents: Iterable[str], requests: Iterable[Request], bar: Bar) -> dict[str, float | None]:
        """The expected score, 0 to 5, of each of `contents`, which are the digests of the requests' documents.

        None where the call failed, was refused or gave a reply without a score: there is no second try. Memory holds as
        many answers as a batch of `answers_in_order`. Raises `ValueError` where the budget is reached.
        """
        store = AnswerStore.of(self.answers, self.question)
        spending = Spending.so_far(self.limits, self.question, store, self.scratch)
        collector = AnswerCollector(self.annotator, self.question, store, spending)
        try:
            collector.ask(requests, bar)
        except AskingStoppedError as stop:
            raise spending.stopped(collector.asked, stop.unasked) from stop
        scores: dict[str, float | None] = dict.fromkeys(contents)
        self.spent += TokensSpent(lost=store.lost_tokens() - self.spent.lost)
        for batch in answers_in_order(store, list(scores), self.scratch):
            answers = {key: answer for key, answer in batch.items() if key in scores}
            scores |= {key: self.judge.judge(answer).expected_score for key, answer in answers.items()}
            self.spent += TokensSpent.of(self.question, answers.values())
        return scores

    def scores_of(self, documents: Iterable[Document], bar: Bar) -> list[float | None]:
        """The expected score of each document, in their order; None as for `scores`."""
        requests = [
            (digest_of_bytes(one.text.encode()), AnnotationRequest(one.id, one.text, one.source)) for one in documents
        ]
        contents = [content for content, _ in requests]
        scores = self.scores(contents, requests, bar)
        return [scores[content] for content in contents]
