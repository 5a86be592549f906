"""Asking an annotator for the answers that the store does not have, and the scores that these answers give."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path

from datashop_assets.asking.replies import Judge
from datashop_assets.asking.store import AnswerStore, AnswerWriter, answers_in_order, key_of, to_line
from datashop_assets.protocols.annotator import AnnotationRequest, Annotator, Answer, Ended, Question
from datashop_assets.protocols.documents import Document
from datashop_assets.protocols.progress import Bar
from datashop_assets.storage.digests import digest_of_bytes
from datashop_assets.storage.folders import Folder

UNANSWERED = "the annotator gave no answer"
Request = tuple[str, AnnotationRequest]  # the digest of the document's content, and what is asked about it


class AskingStoppedError(Exception):
    """`allows` said no before all documents were asked. What was answered is kept."""

    def __init__(self, unasked: int) -> None:
        super().__init__(f"{unasked} documents were not asked")
        self.unasked = unasked


@dataclass
class AnswerCollector:
    """Puts one question to documents. `failures` says of each key whose call failed why; the next `ask` tries it again.

    `watch` sees every new answer, failed ones too, and may raise to stop: what was answered is kept.
    """

    annotator: Annotator
    question: Question
    store: AnswerStore
    watch: Callable[[Answer], None] = lambda _: None
    failures: dict[str, str] = field(default_factory=dict)
    asked: int = 0  # documents sent to the annotator
    allows: Callable[[], bool] = lambda: True  # whether to go on; what is in flight when it says no is waited for
    unasked: int = 0  # documents that were not sent because of it

    def ask(self, requests: Iterable[Request], bar: Bar) -> None:
        """Answers flow: without groups all documents are one stream.

        Groups are counted over all documents, asked already or not, so that a run that was killed and goes on forms the
        same ones. Raises `AskingStoppedError`.
        """
        known, group = self.store.keys(), self.annotator.group
        with AnswerWriter(self.store, grouped=group is not None) as writer:
            for batch in _batches(requests, group):
                self._put(self._missing(batch, known, bar), writer, bar)
                writer.flush()
        if self.unasked:
            raise AskingStoppedError(self.unasked)

    def _missing(self, batch: Iterable[Request], known: set[str], bar: Bar) -> Iterator[AnnotationRequest]:
        """Each unanswered document once, with its key as its name."""
        for content, request in batch:
            key = key_of(content, request.constrain)
            if key in known:
                bar.skip()
            elif not self.allows():
                self.unasked += 1
            else:
                known.add(key)
                yield replace(request, id=key)

    def _put(self, missing: Iterator[AnnotationRequest], writer: AnswerWriter, bar: Bar) -> None:
        first = next(missing, None)
        if first is None:
            return
        waiting: set[str] = set()

        def sent() -> Iterator[AnnotationRequest]:
            for request in chain([first], missing):
                waiting.add(request.id)
                yield request

        for answer in self.annotator.answer(sent(), self.question):
            if answer.id not in waiting:
                raise ValueError(
                    f"the annotator answered about {answer.id!r}, which was not asked or is answered already"
                )
            waiting.remove(answer.id)
            self._keep(answer, writer)
            bar.advance()
            self.watch(answer)
        self.failures.update(dict.fromkeys(waiting, UNANSWERED))

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


def _batches(requests: Iterable[Request], group: int | None) -> Iterator[Iterable[Request]]:
    remaining = iter(requests)
    if group is None:
        yield remaining
        return
    while batch := list(islice(remaining, group)):
        yield batch


@dataclass(frozen=True)
class DocumentScorer:
    """Scores documents by one question, through the answer store, where the first reply is all that is wanted."""

    annotator: Annotator
    question: Question
    judge: Judge
    answers: Folder  # of all questions
    scratch: Path

    def scores(self, contents: Iterable[str], requests: Iterable[Request], bar: Bar) -> dict[str, float | None]:
        """The expected score, 0 to 5, of each of `contents`, which are the digests of the requests' documents.

        None where the call failed, was refused or gave a reply without a score: there is no second try. Memory holds as
        many answers as a lot of `answers_in_order`.
        """
        store = AnswerStore.of(self.answers, self.question)
        AnswerCollector(self.annotator, self.question, store).ask(requests, bar)
        scores: dict[str, float | None] = dict.fromkeys(contents)
        for lot in answers_in_order(store, list(scores), self.scratch):
            scores |= {key: self.judge.judge(answer).expected_score for key, answer in lot.items() if key in scores}
        return scores

    def scores_of(self, documents: Iterable[Document], bar: Bar) -> list[float | None]:
        """The expected score of each document, in their order; None as for `scores`."""
        requests = [
            (digest_of_bytes(one.text.encode()), AnnotationRequest(one.id, one.text, one.source)) for one in documents
        ]
        contents = [content for content, _ in requests]
        scores = self.scores(contents, requests, bar)
        return [scores[content] for content in contents]
