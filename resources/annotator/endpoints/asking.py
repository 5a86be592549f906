"""A question as requests to a chat completion: one class a way of scoring."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import orjson

from datashop_assets.prompts.template import fill
from datashop_assets.protocols.annotator import Asked, Ended, Question
from resources.annotator.endpoints.marks import without_marks
from resources.annotator.endpoints.reading import Said, probabilities, said
from resources.annotator.endpoints.spelling import (
    Spelling,
    Tokenize,
    by_option,
    lettered,
    letters,
    listed,
    shuffled,
    spelled,
)

Found = tuple[Said, Mapping[str, float] | None]


class Way(Protocol):
    """How one document is asked about, and how the answer is understood."""

    def payload(self, one: Asked, text: str) -> dict[str, Any]:
        """The request about `text`, what is left of the document after cutting."""

    def read(self, body: dict[str, Any], one: Asked) -> Found:
        """Raises `TryAgain` for a body that makes no sense."""


async def way_of(question: Question, tokenize: Tokenize | None) -> Way:
    """Raises `ValueError` where the question cannot be asked; `tokenize` is None where servers have no such address."""
    if question.writes:
        return Generate(question, constrains=tokenize is not None)
    if tokenize is None:
        raise ValueError(
            f"annotator.scoring is {question.scoring!r}, which needs a vLLM server (/tokenize, structured_outputs and "
            "logprob_token_ids); the endpoints have none of these. Use `scoring: generate` there"
        )
    if question.scoring == "likelihood":
        spelling = await spelled(question.options, question.answer_begins, tokenize, only_spaced=True)
        return Likelihood(question, spelling)
    if question.scoring == "score_token":
        words = lettered(question.options)
        shown = letters(question.options) if words else question.options
        return ScoreToken(question, await spelled(shown, question.answer_begins, tokenize, only_spaced=False), words)
    raise ValueError(f"annotator.scoring is {question.scoring!r}; use generate, score_token or likelihood")


@dataclass(frozen=True)
class Generate:
    """A written reply. `constrains` says whether the servers can be held to a choice of texts."""

    question: Question
    constrains: bool

    def payload(self, one: Asked, text: str) -> dict[str, Any]:
        turns = [_user(self.question, text)]
        sampling = self.question.sampling
        limits = {"max_tokens": sampling.max_tokens, "temperature": sampling.temperature, "top_p": sampling.top_p}
        held: dict[str, Any] = {}
        if one.constrain:
            turns += [_turn("assistant", without_marks(one.before)), _turn("user", _once_more(one.constrain))]
            held = {"structured_outputs": {"choice": list(one.constrain)}} if self.constrains else {}
        return {"model": self.question.model, "messages": turns, "seed": sampling.seed, **limits, **held}

    def read(self, body: dict[str, Any], one: Asked) -> Found:
        return said(body), None


@dataclass(frozen=True)
class Likelihood:
    """The probability of each option as the next word of an answer that is begun for the model."""

    question: Question
    spelling: Spelling

    def payload(self, one: Asked, text: str) -> dict[str, Any]:
        return _scored(self.question, [_user(self.question, text)], self.spelling)

    def read(self, body: dict[str, Any], one: Asked) -> Found:
        found = probabilities(body, self.spelling.tokens)
        by_name = dict(zip(self.question.options, found, strict=True))
        return _complete(said(body), orjson.dumps({name: round(p, 6) for name, p in by_name.items()}).decode()), by_name


@dataclass(frozen=True)
class ScoreToken:
    """The probability of each option as the whole answer, which the server holds to the options.

    Where options are words they are listed by letter, in an order that the document's hash gives; `raw` records it.
    """

    question: Question
    spelling: Spelling
    words: bool

    def payload(self, one: Asked, text: str) -> dict[str, Any]:
        after = listed(self._order(one)) if self.words else ""
        payload = _scored(self.question, [_user(self.question, text, after)], self.spelling)
        return {**payload, "structured_outputs": {"choice": list(self.spelling.forms)}}

    def read(self, body: dict[str, Any], one: Asked) -> Found:
        order = self._order(one) if self.words else self.question.options
        found = by_option(order, probabilities(body, self.spelling.tokens), self.question.options)
        reply = said(body)
        if not self.words:
            return _complete(reply, reply.raw), found
        shown = dict(zip(letters(order), order, strict=True))
        return _complete(reply, orjson.dumps({"reply": reply.raw, "options": shown}).decode()), found

    def _order(self, one: Asked) -> tuple[str, ...]:
        """Another one with another seed, so that asking again also tells what the order did."""
        seed = self.question.sampling.seed
        return shuffled(self.question.options, f"{seed} {one.text}" if seed else one.text)


def _scored(question: Question, turns: list[dict[str, str]], spelling: Spelling) -> dict[str, Any]:
    """One token at temperature 0: log-probabilities do not depend on it, and the token is the likeliest option."""
    begun = (
        {"add_generation_prompt": False, "continue_final_message": True, "messages": _begun(turns, question)}
        if question.answer_begins
        else {"messages": turns}
    )
    read = {"logprobs": True, "logprob_token_ids": list(spelling.tokens), "return_tokens_as_token_ids": True}
    return {"model": question.model, "max_tokens": 1, "temperature": 0, **begun, **read}


def _begun(turns: list[dict[str, str]], question: Question) -> list[dict[str, str]]:
    return [*turns, _turn("assistant", question.answer_begins)]


def _complete(reply: Said, raw: str) -> Said:
    """One token is all that was asked for, so that its limit is no cut."""
    if reply.ended is Ended.REFUSED:
        return reply
    return replace(reply, ended=Ended.COMPLETE, reason="", raw=raw)


def _user(question: Question, text: str, after: str = "") -> dict[str, str]:
    return _turn("user", fill(question.prompt, text) + after)


def _turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _once_more(options: tuple[str, ...]) -> str:
    return "Answer with exactly one of these lines and nothing else:\n" + "\n".join(options)
