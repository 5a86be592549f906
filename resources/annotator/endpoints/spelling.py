"""How each option is written as the model's answer, and the token by which it is known.

The probability of an option is read from its first token, so the first tokens must differ. Options of one character
stand for themselves, behind a space or not; longer ones are shown as lettered lines, and the letter is the answer.
"""

import hashlib
import string
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

Tokenize = Callable[[str], Awaitable[Sequence[int]]]


@dataclass(frozen=True)
class Spelling:
    """`forms[i]` is written for option or letter i; `tokens[i]` is the first token of it."""

    forms: tuple[str, ...]
    tokens: tuple[int, ...]


async def spelled(options: Sequence[str], begins: str, tokenize: Tokenize, *, only_spaced: bool) -> Spelling:
    """Forms whose first tokens all differ. `begins` is what the answer follows.

    By likelihood an option always follows a space, as a word does in a sentence (`only_spaced`); a digit may stand
    at the start of the answer. Raises `ValueError` where two options cannot be told apart.
    """
    spaced = bool(begins) and not begins[-1].isspace()
    for space in [" "] if only_spaced else [" ", ""] if spaced else [""]:
        forms = tuple(space + option for option in options)
        tokens = tuple([await _first(tokenize, form) for form in forms])
        if len(set(tokens)) == len(tokens):
            return Spelling(forms, tokens)
    first = dict(zip(reversed(tokens), reversed(options), strict=True))
    pair = next((first[token], option) for token, option in zip(tokens, options, strict=True) if first[token] != option)
    raise ValueError(
        f"options {pair[0]!r} and {pair[1]!r} begin with the same token, so that their likelihoods cannot be told "
        "apart; word one of them differently"
    )


async def _first(tokenize: Tokenize, form: str) -> int:
    if not (tokens := await tokenize(form)):
        raise ValueError(f"the endpoint makes no token of {form!r}, so that it cannot be scored; correct its /tokenize")
    return tokens[0]


def lettered(options: Sequence[str]) -> bool:
    """Whether options are shown as lettered lines: they are, unless each is one character."""
    return any(len(option) != 1 for option in options)


def letters(options: Sequence[str]) -> tuple[str, ...]:
    """Raises `ValueError` where there are more options than letters."""
    if len(options) > len(string.ascii_uppercase):
        raise ValueError(f"{len(options)} options; score_token takes at most {len(string.ascii_uppercase)}")
    return tuple(string.ascii_uppercase[: len(options)])


def shuffled(options: Sequence[str], text: str) -> tuple[str, ...]:
    """The options in an order of the document's own, so that no option gains by its place over a sample."""
    seed = hashlib.blake2b(text.encode("utf-8", "replace")).digest()
    return tuple(sorted(options, key=lambda option: hashlib.blake2b(option.encode(), key=seed[:64]).digest()))


def listed(order: Sequence[str]) -> str:
    """What is put after the question: a line for every option, and what to answer."""
    lines = "\n".join(f"{letter}. {option}" for letter, option in zip(letters(order), order, strict=True))
    return f"\n\nOptions:\n{lines}\n\nAnswer with the letter of one option and nothing else."


def by_option(order: Sequence[str], probabilities: Sequence[float], options: Sequence[str]) -> Mapping[str, float]:
    """The probabilities of `order`, by option and in the order of `options`."""
    found = dict(zip(order, probabilities, strict=True))
    return {option: found[option] for option in options}
