"""What the embedded model reads, answers and writes; the resource that holds it is `embedded.EmbeddedAnnotator`.

A document goes to a `LikelihoodReader` or a `EmbeddedTextWriter`, becomes tokens in `PromptTokens`, and is computed in
`OptionProbabilities` or by `Greedy`. Writing is for descriptions of target documents, one after the other.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orjson
from flax import nnx
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from datashop_assets.excerpts import excerpt, fitting
from datashop_assets.models.attention import KeysValues
from datashop_assets.models.llama.generation import Greedy
from datashop_assets.models.llama.model import Llama
from datashop_assets.models.packing import first_fit, lay_out
from datashop_assets.models.sharding import compiler_options, workers
from datashop_assets.prompts.template import EXAMPLE
from datashop_assets.protocols.annotator import AnnotationRequest, Answer, Ended, Question, failed_answer

MOST_IN_A_ROW = 8  # documents
# of one call: tokens, positions after the prefix, segments [rows, length], and sequences' ends [rows, MOST_IN_A_ROW]
RowArrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
END_OF_TURN = ("<|im_end|>", "<|endoftext|>")


class LikelihoodReader:
    """Answers one question by the probability of each option as the next word."""

    def __init__(self, question: Question, tokens: "PromptTokens", probabilities: "OptionProbabilities") -> None:
        self._question, self._tokens, self._probabilities = question, tokens, probabilities

    def answers(self, documents: Sequence[AnnotationRequest]) -> Iterator[Answer]:
        started = perf_counter()
        tokenized = [self._tokenized(document) for document in documents]
        readable = [one.tokens for one in tokenized if isinstance(one, DocumentTokens)]
        rows = iter(self._probabilities.of(readable))
        seconds_per_token = (perf_counter() - started) / max(1, sum(map(len, readable)))
        for document, one in zip(documents, tokenized, strict=True):
            if isinstance(one, str):
                yield failed_answer(document.id, one)
            else:
                yield self._answer(document, one, next(rows), seconds_per_token)

    def _tokenized(self, document: AnnotationRequest) -> "DocumentTokens | str":
        """The document's tokens, or why it has none."""
        try:
            return self._tokens.of(document.text)
        except Exception as error:  # noqa: BLE001 - whatever one document holds, the others are asked
            return _reason(error)

    def _answer(
        self, document: AnnotationRequest, read: "DocumentTokens", row: np.ndarray, seconds_per_token: float
    ) -> Answer:
        if not np.isfinite(row).all():
            return failed_answer(document.id, "the model's answer is not finite")
        probabilities = dict(zip(self._question.options, map(float, row), strict=True))
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
            seconds=round(seconds_per_token * len(read.tokens), 4),
            endpoint="embedded",
        )


class EmbeddedTextWriter:
    """Answers one question of the scoring `write`; always by the likeliest token, whatever temperature is asked for.

    `context` is how many tokens prompt and text may have together; what is longer is cut.
    """

    def __init__(self, model: Llama, tokenizer: Tokenizer, template: str, question: Question, context: int) -> None:
        self._greedy, self._tokenizer, self._most = Greedy(model), tokenizer, question.sampling.max_tokens
        self._tokens = PromptTokens(tokenizer, template, question, context - self._most, counts_before=True)
        self._stops = {token for name in END_OF_TURN if (token := tokenizer.token_to_id(name)) is not None}

    def answers(self, documents: Iterable[AnnotationRequest]) -> Iterator[Answer]:
        for document in documents:
            try:
                yield self._answer(document)
            except Exception as error:  # noqa: BLE001 - whatever one document holds, the others are asked
                yield failed_answer(document.id, _reason(error))

    def _answer(self, document: AnnotationRequest) -> Answer:
        started, read = perf_counter(), self._tokens.of(document.text)
        prompt = [*self._tokens.before, *read.tokens]
        written, ended = self._greedy.write(prompt, self._most, self._stops)
        return Answer(
            id=document.id,
            ended=Ended.COMPLETE if ended else Ended.LENGTH,
            reason="" if ended else f"cut off after {self._most} tokens",
            raw=self._tokenizer.decode(written),
            probabilities=None,
            text=read.text,
            cut=read.cut,
            tokens_in=len(prompt),
            tokens_out=len(written),
            seconds=round(perf_counter() - started, 4),
            endpoint="embedded",
        )


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]


@dataclass(frozen=True, slots=True)
class DocumentTokens:
    """One document as the model reads it."""

    text: str  # what was read
    cut: bool
    tokens: tuple[int, ...]  # the document and what comes after it


class PromptTokens:
    """Turns documents into tokens for one question: what comes before the document, the document, what comes after.

    Before and after are tokenized apart from the document. So the part before is the same for all documents and is
    computed once, and nothing that stands in a document, such as `<|im_end|>`, can end the user's turn.

    `room` is how many tokens there may be: of the document and what comes after, and with `counts_before` of what comes
    before, too. Raises `ValueError` when the question leaves none of it for a document.
    """

    def __init__(
        self, tokenizer: Tokenizer, template: str, question: Question, room: int, *, counts_before: bool = False
    ) -> None:
        self._tokenizer, self._reading = tokenizer, question.reading
        render = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(template).render
        turns = render(messages=[{"role": "user", "content": question.prompt}], add_generation_prompt=True)
        before, after = (turns + question.answer_begins).split(EXAMPLE)
        self.before, self._after = self._template_tokens(before), self._template_tokens(after)
        if counts_before:
            room -= len(self.before)
        self._room = room - len(self._after)
        if self._room < 1:
            raise ValueError(f"what follows {EXAMPLE} takes {len(self._after)} of {room} tokens; shorten the question")

    def of(self, text: str) -> DocumentTokens:
        """Cuts by characters as the question says, and then by tokens to the room, never within a character."""
        characters, part = self._reading.characters, self._reading.part
        # names the place of what UTF-8 cannot hold; the tokenizer would only say that it is no text
        excerpt(text, characters, part)[0].encode()
        read, cut = fitting(text, characters, part, lambda read: len(self._document_tokens(read)) <= self._room)
        return DocumentTokens(read, cut, (*self._document_tokens(read), *self._after))

    def _document_tokens(self, text: str) -> list[int]:
        self._tokenizer.encode_special_tokens = True  # so that a template's mark in a document is ordinary text
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def _template_tokens(self, text: str) -> tuple[int, ...]:
        self._tokenizer.encode_special_tokens = False
        return tuple(self._tokenizer.encode(text, add_special_tokens=False).ids)


def first_tokens(tokenizer: Tokenizer, options: Sequence[str]) -> tuple[int, ...]:
    """The token with which each option would go on, after a space. Raises `ValueError` where two options share it."""
    first: dict[int, str] = {}
    for option in options:
        token = tokenizer.encode(f" {option}", add_special_tokens=False).ids[0]
        if token in first:
            raise ValueError(
                f"options {first[token]!r} and {option!r} begin with the same token {tokenizer.id_to_token(token)!r}, "
                "so that their likelihoods cannot be told apart; word one of them differently"
            )
        first[token] = option
    return tuple(first)


class OptionProbabilities:
    """The probability of each option, by its first token, for token sequences that all follow the same `before`.

    What comes before is computed once. Sequences are packed into rows of one length, so that one program is compiled
    (1 s) whatever comes; on a CPU for one thread, as many at once as there are cores.
    """

    def __init__(self, model: Llama, before: Sequence[int], options: Sequence[int], *, rows: int, length: int) -> None:
        self._graph, self._weights = nnx.split(model)
        self._options = jnp.asarray(options, dtype=jnp.int32)
        self._rows, self._length = rows, length
        self._prefix = _remember(self._graph, self._weights, jnp.asarray(before, dtype=jnp.int32))
        fixed = (self._weights, self._prefix, self._options)
        program = _option_logits.lower(self._graph, *fixed, self._arrays([], [])).compile(compiler_options())
        self._program = partial(program, *fixed)

    def of(self, sequences: Sequence[Sequence[int]]) -> np.ndarray:
        """The probability of each option after each sequence, float64 [sequences, options]; each row adds up to one."""
        logits = np.empty((len(sequences), len(self._options)))
        packed = first_fit([len(sequence) for sequence in sequences], self._length, MOST_IN_A_ROW)
        batches = [packed[first : first + self._rows] for first in range(0, len(packed), self._rows)]
        with ThreadPoolExecutor(workers()) as pool:
            computed = pool.map(lambda batch: np.asarray(self._program(self._arrays(batch, sequences))), batches)
            for batch, by_place in zip(batches, computed, strict=True):
                for row, indices in enumerate(batch):
                    logits[indices] = by_place[row, : len(indices)]
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(odds / odds.sum(axis=1, keepdims=True))

    def _arrays(self, batch: Sequence[Sequence[int]], sequences: Sequence[Sequence[int]]) -> RowArrays:
        """One call's rows: `batch` holds indices into `sequences`; empty rows fill it up."""
        laid = lay_out(sequences, batch, self._length, self._rows)
        ends = np.zeros((self._rows, MOST_IN_A_ROW), dtype=np.int32)
        for row, members in enumerate(batch):
            ends[row, : len(members)] = np.cumsum([len(sequences[member]) for member in members]) - 1
        return laid.tokens, laid.positions + np.int32(self._prefix.keys.shape[1]), laid.segments, ends


@partial(jax.jit, static_argnums=0)
def _remember(graph: Any, weights: Any, before: jax.Array) -> KeysValues:
    return nnx.merge(graph, weights).remember(before)  # type: ignore[no-any-return]


@partial(jax.jit, static_argnums=0)
def _option_logits(graph: Any, weights: Any, prefix: KeysValues, options: jax.Array, rows: Any) -> jax.Array:
    """`RowArrays` -> [rows, MOST_IN_A_ROW, options]: logits where sequences end. The rest of the vocabulary takes no
    part.
    """
    model, (tokens, positions, segments, ends) = nnx.merge(graph, weights), rows
    hidden = model.hidden(tokens, positions=positions, segments=segments, prefix=prefix)
    last = jnp.take_along_axis(hidden, ends[:, :, None], axis=1)
    return model.logits(last)[..., options]  # type: ignore[no-any-return]
