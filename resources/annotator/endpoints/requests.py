"""What is sent to an endpoint: how a document is cut, how options are spelled, and the body of each way of scoring.

Each way of scoring is one class that builds the request about a document and reads the answer to it.
"""

import hashlib
import re
import string
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import orjson

from datashop_assets.excerpts import excerpt
from datashop_assets.prompts.template import fill
from datashop_assets.protocols.annotator import AnnotationRequest, Ended, Question, Reading
from resources.annotator.endpoints.replies import Completion, read_completion, read_probabilities

TEMPLATE_MARKS = re.compile(
    r"<(?=[|\uff5c][^<>\s]{1,40}[|\uff5c]>)"  # <|im_end|>, <|eot_id|>; DeepSeek writes the bars wide
    r"|<(?=\|[a-z_]{1,40}>|[a-z_]{1,40}\|>)|\[(?=\|[a-z_]{1,40}\|\])"  # Gemma 4: <|turn>, <turn|>; EXAONE: [|user|]
    r"|<(?=/?s>|(?:bos|eos|pad|unk)>|(?:start|end)_of_turn>)"  # Llama 2, Mistral, Gemma
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\])"
)
CHARACTERS_PER_TOKEN = 3.0  # of long texts, where the server cannot count: it says so itself where this is too many
SHRINK = 0.97  # below the estimate, so that two rounds are mostly enough
FEWEST_CHARACTERS = 16  # below which a document is not cut

Tokenize = Callable[[str], Awaitable[Sequence[int]]]


def without_template_marks(text: str) -> str:
    """`text` with the marks of chat templates broken up by a space behind their first character.

    A server renders the template and tokenizes the whole, so that `<|im_end|>` in a document would end the user's turn
    and let the document speak for itself. With the space it is ordinary text for every tokenizer.
    """
    return TEMPLATE_MARKS.sub(lambda mark: mark.group() + " ", text)


def excerpt_to_send(text: str, characters: int, reading: Reading) -> tuple[str, bool]:
    """The excerpt of at most `characters` without template marks, and whether it is less than the whole.

    Raises `UnicodeEncodeError` for what UTF-8 cannot hold.
    """
    shown, cut = excerpt(text, characters, reading.part)
    shown.encode()
    return without_template_marks(shown), cut


@dataclass(frozen=True)
class DocumentCutter:
    """Cuts by characters as the question says, then by tokens to `budget`, what the model takes for a document.

    `tokenize` is the server's own; None where it has none.
    """

    budget: int
    tokenize: Tokenize | None

    async def cut(self, text: str, reading: Reading) -> tuple[str, bool, int]:
        """What to send, whether it is less than the whole, and the characters that were allowed."""
        characters = reading.characters
        if self.tokenize is None:
            characters = min(characters, int(self.budget * CHARACTERS_PER_TOKEN))
            return *excerpt_to_send(text, characters, reading), characters
        while True:
            shown, cut = excerpt_to_send(text, characters, reading)
            if len(shown.encode()) <= self.budget:  # no token is shorter than a byte: most documents need no counting
                return shown, cut, characters
            tokens = len(await self.tokenize(shown))
            if tokens <= self.budget or characters <= FEWEST_CHARACTERS:
                return shown, cut, characters
            estimate = int(min(characters, len(text)) * SHRINK * self.budget / tokens)
            characters = max(FEWEST_CHARACTERS, estimate)


@dataclass(frozen=True)
class Spelling:
    """`forms[i]` is how option or letter i is written as the answer; `tokens[i]` is the first token of it.

    The probability of an option is read from its first token, so the first tokens all differ.
    """

    forms: tuple[str, ...]
    tokens: tuple[int, ...]


async def spell(options: Sequence[str], begins: str, tokenize: Tokenize, *, only_spaced: bool) -> Spelling:
    """`begins` is what the answer follows.

    By likelihood an option always follows a space, as a word does in a sentence (`only_spaced`); a digit may stand
    at the start of the answer. Raises `ValueError` where two options cannot be told apart.
    """
    spaced = bool(begins) and not begins[-1].isspace()
    for space in [" "] if only_spaced else [" ", ""] if spaced else [""]:
        forms = tuple(space + option for option in options)
        tokens = []
        for form in forms:
            if not (ids := await tokenize(form)):
                raise ValueError(
                    f"the endpoint makes no token of {form!r}, so that it cannot be scored; correct its /tokenize"
                )
            tokens.append(ids[0])
        if len(set(tokens)) == len(tokens):
            return Spelling(forms, tuple(tokens))
    first = dict(zip(reversed(tokens), reversed(options), strict=True))
    pair = next((first[token], option) for token, option in zip(tokens, options, strict=True) if first[token] != option)
    raise ValueError(
        f"options {pair[0]!r} and {pair[1]!r} begin with the same token, so that their likelihoods cannot be told "
        "apart; word one of them differently"
    )


def letters_for(options: Sequence[str]) -> tuple[str, ...]:
    """Raises `ValueError` where there are more options than letters."""
    if len(options) > len(string.ascii_uppercase):
        raise ValueError(f"{len(options)} options; score_token takes at most {len(string.ascii_uppercase)}")
    return tuple(string.ascii_uppercase[: len(options)])


def shuffled(options: Sequence[str], text: str) -> tuple[str, ...]:
    """The options in an order that `text` decides, so that no option gains by its place over a sample."""
    seed = hashlib.blake2b(text.encode("utf-8", "replace")).digest()
    return tuple(sorted(options, key=lambda option: hashlib.blake2b(option.encode(), key=seed[:64]).digest()))


Reply = tuple[Completion, Mapping[str, float] | None]


class Scoring(Protocol):
    """How one document is asked about, and how the answer is read."""

    def body(self, document: AnnotationRequest, text: str) -> dict[str, Any]:
        """The request about `text`, what is left of the document after cutting."""

    def read(self, body: dict[str, Any], document: AnnotationRequest) -> Reply:
        """The completion and the probability of each option. Raises `RetryableError` for a body that makes no sense."""


async def scoring_of(question: Question, tokenize: Tokenize | None) -> Scoring:
    """Raises `ValueError` where the question cannot be asked; `tokenize` is None where servers have no such address."""
    if question.writes:
        return GenerateScoring(question, constrains=tokenize is not None)
    if tokenize is None:
        raise ValueError(
            f"annotator.scoring is {question.scoring!r}, which needs a vLLM server (/tokenize, structured_outputs and "
            "logprob_token_ids); the endpoints have none of these. Use `scoring: generate` there"
        )
    if question.scoring == "likelihood":
        spelling = await spell(question.options, question.answer_begins, tokenize, only_spaced=True)
        return LikelihoodScoring(question, spelling)
    if question.scoring == "score_token":
        lettered = any(len(option) != 1 for option in question.options)
        shown = letters_for(question.options) if lettered else question.options
        spelling = await spell(shown, question.answer_begins, tokenize, only_spaced=False)
        return ScoreTokenScoring(question, spelling, lettered)
    raise ValueError(f"annotator.scoring is {question.scoring!r}; use generate, score_token or likelihood")


@dataclass(frozen=True)
class GenerateScoring:
    """A written reply. `constrains` says whether the servers can restrict a reply to a choice of texts."""

    question: Question
    constrains: bool

    def body(self, document: AnnotationRequest, text: str) -> dict[str, Any]:
        sampling = self.question.sampling
        body: dict[str, Any] = {
            "model": self.question.model,
            "messages": [_turn("user", fill(self.question.prompt, text))],
            "seed": sampling.seed,
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
        }
        if document.constrain:
            lines = "Answer with exactly one of these lines and nothing else:\n" + "\n".join(document.constrain)
            body["messages"] += [_turn("assistant", without_template_marks(document.before)), _turn("user", lines)]
            if self.constrains:
                body["structured_outputs"] = {"choice": list(document.constrain)}
        return body

    def read(self, body: dict[str, Any], document: AnnotationRequest) -> Reply:
        return read_completion(body, self.question.sampling.max_tokens), None


@dataclass(frozen=True)
class LikelihoodScoring:
    """The probability of each option as the next word of an answer that is begun for the model."""

    question: Question
    spelling: Spelling

    def body(self, document: AnnotationRequest, text: str) -> dict[str, Any]:
        return _one_token_body(self.question, fill(self.question.prompt, text), self.spelling)

    def read(self, body: dict[str, Any], document: AnnotationRequest) -> Reply:
        by_option = dict(zip(self.question.options, read_probabilities(body, self.spelling.tokens), strict=True))
        rounded = {option: round(probability, 6) for option, probability in by_option.items()}
        return _complete(read_completion(body), orjson.dumps(rounded).decode()), by_option


@dataclass(frozen=True)
class ScoreTokenScoring:
    """The probability of each option as the whole answer, which the server restricts to the options.

    Options of one character stand for themselves. Longer ones are `lettered`: listed by letter, in an order that the
    document's hash gives, and the letter is the answer; the reply's text then records the order.
    """

    question: Question
    spelling: Spelling
    lettered: bool

    def body(self, document: AnnotationRequest, text: str) -> dict[str, Any]:
        prompt = fill(self.question.prompt, text)
        if self.lettered:
            order = self._order(document)
            lines = "\n".join(f"{letter}. {option}" for letter, option in zip(letters_for(order), order, strict=True))
            prompt += f"\n\nOptions:\n{lines}\n\nAnswer with the letter of one option and nothing else."
        body = _one_token_body(self.question, prompt, self.spelling)
        return {**body, "structured_outputs": {"choice": list(self.spelling.forms)}}

    def read(self, body: dict[str, Any], document: AnnotationRequest) -> Reply:
        order = self._order(document) if self.lettered else self.question.options
        by_option = dict(zip(order, read_probabilities(body, self.spelling.tokens), strict=True))
        in_question_order = {option: by_option[option] for option in self.question.options}
        completion = read_completion(body)
        if not self.lettered:
            return _complete(completion, completion.text), in_question_order
        shown = dict(zip(letters_for(order), order, strict=True))
        text = orjson.dumps({"reply": completion.text, "options": shown}).decode()
        return _complete(completion, text), in_question_order

    def _order(self, document: AnnotationRequest) -> tuple[str, ...]:
        """Another one with another seed, so that asking again also shows what the order did."""
        seed = self.question.sampling.seed
        return shuffled(self.question.options, f"{seed} {document.text}" if seed else document.text)


def _one_token_body(question: Question, prompt: str, spelling: Spelling) -> dict[str, Any]:
    """One token at temperature 0: log-probabilities do not depend on it, and the token is the likeliest option."""
    body: dict[str, Any] = {
        "model": question.model,
        "messages": [_turn("user", prompt)],
        "max_tokens": 1,
        "temperature": 0,
        "logprobs": True,
        "logprob_token_ids": list(spelling.tokens),
        "return_tokens_as_token_ids": True,
    }
    if question.answer_begins:
        body["messages"] = [_turn("user", prompt), _turn("assistant", question.answer_begins)]
        body |= {"add_generation_prompt": False, "continue_final_message": True}
    return body


def _complete(completion: Completion, text: str) -> Completion:
    """One token is all that was asked for, so that reaching the limit of one is no cut."""
    if completion.ended is Ended.REFUSED:
        return completion
    return replace(completion, ended=Ended.COMPLETE, reason="", text=text)


def _turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}
