"""Asking an annotator for the answers that the store does not have."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, islice

from datashop_assets.answers.store import AnswerStore, AnswerWriter, key_of, to_line
from datashop_assets.protocols.annotator import AnnotationRequest, Annotator, Answer, Ended, Question
from datashop_assets.protocols.progress import Bar

UNANSWERED = "the annotator gave no answer"
Watch = Callable[[Answer], None]


class StoppedAskingError(Exception):
    """`allows` said no before all documents were asked. What was answered is kept."""

    def __init__(self, unasked: int) -> None:
        super().__init__(f"{unasked} documents were not asked")
        self.unasked = unasked


@dataclass
class Asking:
    """One question, put to documents. `failures` says of each key whose call failed why; the next `ask` tries it again.

    `watch` sees every new answer, failed ones too, and may raise to stop: what was answered is kept.
    """

    annotator: Annotator
    question: Question
    store: AnswerStore
    watch: Watch = lambda _: None
    failures: dict[str, str] = field(default_factory=dict)
    asked: int = 0  # documents sent to the annotator
    allows: Callable[[], bool] = lambda: True  # whether to go on; what is in flight when it says no is waited for
    unasked: int = 0  # documents that were not sent because of it

    def ask(self, documents: Iterable[tuple[str, AnnotationRequest]], bar: Bar) -> None:
        """Documents with the digests of their content. Answers flow: without groups all documents are one stream.

        Groups are counted over all documents, asked already or not, so that a run that was killed and goes on forms the
        same ones.
        """
        known, group = self.store.keys(), self.annotator.group
        with AnswerWriter(self.store, grouped=group is not None) as writer:
            for batch in _batches(documents, group):
                self._put(self._missing(batch, known, bar), writer, bar)
                writer.flush()
        if self.unasked:
            raise StoppedAskingError(self.unasked)

    def _missing(
        self, batch: Iterable[tuple[str, AnnotationRequest]], known: set[str], bar: Bar
    ) -> Iterator[AnnotationRequest]:
        """Each unanswered document once, with its key as its name."""
        for content, asked in batch:
            key = key_of(content, asked.constrain)
            if key in known:
                bar.skip()
            elif not self.allows():
                self.unasked += 1
            else:
                known.add(key)
                yield replace(asked, id=key)

    def _put(self, missing: Iterator[AnnotationRequest], writer: AnswerWriter, bar: Bar) -> None:
        first = next(missing, None)
        if first is None:
            return
        waiting: set[str] = set()
        for answer in self.annotator.answer(_noted(chain([first], missing), waiting), self.question):
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


def _noted(asked: Iterable[AnnotationRequest], waiting: set[str]) -> Iterator[AnnotationRequest]:
    for one in asked:
        waiting.add(one.id)
        yield one


def _batches(
    documents: Iterable[tuple[str, AnnotationRequest]], group: int | None
) -> Iterator[Iterable[tuple[str, AnnotationRequest]]]:
    remaining = iter(documents)
    if group is None:
        yield remaining
        return
    while batch := list(islice(remaining, group)):
        yield batch
