"""A question as tokens: what comes before the document, the document, what comes after, and the answers offered.

Before and after are tokenized apart from the document. So the part before is the same for all documents and computed
once, and nothing that stands in a document, such as `<|im_end|>`, can end the user's turn.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from datashop_assets.excerpts import excerpt, fitting
from datashop_assets.prompts.template import EXAMPLE
from datashop_assets.protocols.annotator import Question


@dataclass(frozen=True, slots=True)
class Read:
    """One document as the model reads it."""

    text: str  # what was read
    cut: bool
    tokens: tuple[int, ...]  # the document and what comes after it


class QuestionTokens:
    """Turns documents into tokens for one question.

    Raises `ValueError` when two options begin with the same token, or when the question leaves no room in a row.
    """

    def __init__(self, tokenizer: Tokenizer, chat_template: str, question: Question, room: int) -> None:
        self._tokenizer, self._reading = tokenizer, question.reading
        before, after = conversation(chat_template, question).split(EXAMPLE)
        self.before, self.after = self._ids(before), self._ids(after)
        self.options = first_tokens(tokenizer, question.options)
        self._room = room - len(self.after)
        if self._room < 1:
            raise ValueError(f"what follows {EXAMPLE} takes {len(self.after)} of {room} tokens; shorten the question")

    def read(self, text: str) -> Read:
        """Cuts by characters as the question says, and then by tokens to what a row holds, never within a character."""
        characters, part = self._reading.characters, self._reading.part
        # names the place of what UTF-8 cannot hold; the tokenizer would only say that it is no text
        excerpt(text, characters, part)[0].encode()
        self._tokenizer.encode_special_tokens = True
        read, cut = fitting(text, characters, part, lambda read: len(self._tokens(read)) <= self._room)
        return Read(read, cut, (*self._tokens(read), *self.after))

    def _tokens(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def _ids(self, text: str) -> tuple[int, ...]:
        self._tokenizer.encode_special_tokens = False
        return tuple(self._tokenizer.encode(text, add_special_tokens=False).ids)


def conversation(chat_template: str, question: Question) -> str:
    """The whole turn of the user, with `{example}` still in it, and the beginning of the assistant's answer."""
    render = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(chat_template).render
    turns = render(messages=[{"role": "user", "content": question.prompt}], add_generation_prompt=True)
    return turns + question.answer_begins


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
