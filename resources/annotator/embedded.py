"""An annotator in this process, on any machine: SmolLM2-135M-Instruct from the data lock, asked by likelihood.

It is too small to follow a rubric. Asked which of a few subjects a document belongs to, it is nearly always right; so
its score is one for topic, not for quality. Two cores read some 6.8 documents of 140 tokens a second.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from time import perf_counter

import numpy as np
import orjson

from datashop_assets.models.llama.gguf_file import GGUF
from datashop_assets.models.llama.model import Llama
from datashop_assets.protocols.annotator import Answer, Asked, Ended, Question, failed
from datashop_assets.sources.packages import data_file
from resources.annotator.likelihood import Likelihood
from resources.annotator.names import EMBEDDED, identity_of
from resources.annotator.question_tokens import QuestionTokens, Read
from resources.annotator.writing import Writer

CONTEXT = 1024  # tokens of a question and the text that is written about it; the model takes 2,048


class EmbeddedAnnotator:
    """An `Annotator`. Weights are loaded with the first question.

    `group` documents are packed at a time into rows of `length` tokens, `rows` rows to a call. Longer rows would
    cost more in attention than they save in padding: 256 tokens hold 1,000 characters of 95% of the embedded pool.
    """

    def __init__(self, *, rows: int = 2, length: int = 256, group: int = 64) -> None:
        self._rows, self._length, self.group = rows, length, group
        self._loaded: dict[str, tuple[GGUF, Llama]] = {}
        self._readers: dict[Question, _Reader | Writer] = {}

    def identity(self, model: str) -> tuple[str, str]:
        return identity_of("embedded", model)

    def answer(self, asked: Iterable[Asked], question: Question) -> Iterator[Answer]:
        """One answer for each document, in order. A document that cannot be read ends `failed`, and the rest go on.

        Raises `ValueError` for a model that is not embedded, or a way of scoring other than likelihood or `write`.
        """
        reader, remaining = self._reader(question), iter(asked)
        while window := list(islice(remaining, self.group)):
            yield from reader.answers(window)

    def _reader(self, question: Question) -> "_Reader | Writer":
        self.identity(question.model)
        if question.scoring not in ("likelihood", "write"):
            raise ValueError(
                f"annotator.scoring is {question.scoring!r}; {question.model} is too small to write a reply that can "
                "be parsed. Use likelihood, or another annotator."
            )
        if question not in self._readers:
            self._readers = {question: self._opened(question)}
        return self._readers[question]

    def _opened(self, question: Question) -> "_Reader | Writer":
        if question.model not in self._loaded:
            gguf = GGUF(data_file(EMBEDDED[0]))
            self._loaded = {question.model: (gguf, gguf.model())}
        gguf, model = self._loaded[question.model]
        if question.scoring == "write":
            return Writer(model, gguf.tokenizer(), gguf.chat_template, question, CONTEXT)
        tokens = QuestionTokens(gguf.tokenizer(), gguf.chat_template, question, self._length)
        answers = Likelihood(model, tokens.before, tokens.options, rows=self._rows, length=self._length)
        return _Reader(question, tokens, answers)


class _Reader:
    """Reads documents for one question."""

    def __init__(self, question: Question, tokens: QuestionTokens, answers: Likelihood) -> None:
        self._question, self._tokens, self._answers = question, tokens, answers

    def answers(self, documents: Sequence[Asked]) -> Iterator[Answer]:
        started = perf_counter()
        read = [self._read(document) for document in documents]
        readable = [one for one in read if isinstance(one, Read)]
        answers = iter(self._answers.answer([one.tokens for one in readable]))
        pace = (perf_counter() - started) / max(1, sum(len(one.tokens) for one in readable))
        for document, one in zip(documents, read, strict=True):
            yield failed(document.id, one) if isinstance(one, str) else self._answer(document, one, next(answers), pace)

    def _read(self, document: Asked) -> Read | str:
        try:
            return self._tokens.read(document.text)
        except Exception as error:  # noqa: BLE001 - whatever one document holds, the others are asked
            return f"{type(error).__name__}: {error}"[:200]

    def _answer(self, document: Asked, read: Read, answer: np.ndarray, pace: float) -> Answer:
        if not np.isfinite(answer).all():
            return failed(document.id, "the model's answer is not finite")
        probabilities = dict(zip(self._question.options, map(float, answer), strict=True))
        return Answer(
            id=document.id,
            ended=Ended.COMPLETE,
            reason="",
            raw=orjson.dumps({option: round(p, 6) for option, p in probabilities.items()}).decode(),
            probabilities=probabilities,
            text=read.text,
            cut=read.cut,
            tokens_in=len(self._tokens.before) + len(read.tokens),
            tokens_out=0,
            seconds=round(pace * len(read.tokens), 4),
            endpoint="embedded",
        )
