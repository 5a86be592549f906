"""Processors: what reads the score in a written reply, by the name that a prompt file gives it.

Two come with Datashop: `finalscore0-5` reads the number after the last `Final score:`, `medu` the last of the words
Great, Good, Okay, Poor and Useless, as 5 to 1. Any other name is the import path of a class of the user's.
"""

import inspect
import pkgutil
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from datashop_assets.protocols.processor import Parsed, Processor
from datashop_assets.storage.digests import digest_of_bytes

HIGHEST_SCORE = 5
MEDU_SCORES = {"great": 5, "good": 4, "okay": 3, "poor": 2, "useless": 1}

_DASHES = "\u2013\u2014-"
# What models put around words. Bounded and possessive (`+` after a quantifier), so that no reply takes long to read.
_AROUND = r"[\s*_`~#>\"'\u201c\u201d($\[\]{}]{0,32}+(?:\\(?:boxed|text|mathbf)\{)?+[\s*_`]{0,8}+"
_FINAL_SCORE = re.compile(rf"final{_AROUND}score{_AROUND}(?:is|of|[:={_DASHES}])?+{_AROUND}", re.IGNORECASE)
_NUMBER = re.compile(
    rf"([+-]?\d{{1,9}}+(?:[.,]\d{{1,9}}+)?+)(?:\s{{0,8}}+(?:/|out\s+of)\s{{0,8}}+(\d{{1,9}}+))?+(?!\s{{0,8}}+[{_DASHES}]\s*\d)"
)
_WORDS = ("zero", "one", "two", "three", "four", "five")
_WORD = re.compile(rf"({'|'.join(_WORDS)})\b", re.IGNORECASE)
_LABEL = re.compile(r"(?<![a-z])(great|good|okay|ok|poor|useless)(?![a-z])", re.IGNORECASE)
_BEFORE_LABEL = re.compile(
    r"(?:final\s+)?(?:label|score|rating|answer|judge?ment|verdict)[\s*_`\"'“:=]*(?:is)?[\s*_`\"'“:=]*$", re.I
)


class FinalScore:
    """A whole number from 0 to 5, as in `Final score: 4`, `**Final score:** 4/5`, `Final score is four`."""

    answers: Sequence[str] = tuple(f"Final score: {score}" for score in range(HIGHEST_SCORE + 1))
    version = "1"

    def parse(self, reply: str) -> Parsed:
        """The last mention that says a number decides: models reason first, and some correct themselves."""
        mentions = [match.end() for match in _FINAL_SCORE.finditer(reply)]
        numbers = [number for end in mentions if (number := self._number_at(reply, end))]
        if not numbers:
            return Parsed(None, f"{'no number after' if mentions else 'does not say'} 'Final score:'")
        value, of = numbers[-1]
        if of not in (None, HIGHEST_SCORE):
            return Parsed(None, f"the final score is out of {of}, not of {HIGHEST_SCORE}")
        if not 0 <= value <= HIGHEST_SCORE or value != int(value):
            return Parsed(None, f"the final score is {value:g}, not a whole number from 0 to {HIGHEST_SCORE}")
        return Parsed(value)

    @staticmethod
    def _number_at(reply: str, start: int) -> tuple[float, int | None] | None:
        """The number at `start`, and out of how many it is where that is said."""
        if match := _NUMBER.match(reply, start):
            return float(match[1].replace(",", ".")), int(match[2]) if match[2] else None
        word = _WORD.match(reply, start)
        return (float(_WORDS.index(word[1].lower())), None) if word else None


class Medu:
    """A word as the MEDU prompt asks for it: alone, in marks, or after `Label:`; that one counts before any other."""

    answers: Sequence[str] = tuple(word.capitalize() for word in MEDU_SCORES)
    version = "1"

    def parse(self, reply: str) -> Parsed:
        """The last word that follows `label`, `score` or the like; where none does, the last word in the reply."""
        words = list(_LABEL.finditer(reply))
        if not words:
            return Parsed(None, "holds none of Great, Good, Okay, Poor, Useless")
        labels = [match for match in words if _BEFORE_LABEL.search(reply[max(0, match.start() - 40) : match.start()])]
        word = (labels or words)[-1][1].lower()
        return Parsed(MEDU_SCORES["okay" if word == "ok" else word])


KNOWN: Mapping[str, type[Any]] = {"finalscore0-5": FinalScore, "medu": Medu}


def processor(name: str, options: Mapping[str, Any]) -> Processor:
    """An instance, tried on one reply. Raises `ValueError` that says what is wrong with it, and the fix."""
    cls = _class(name)
    try:
        instance = cls(**options)
        parsed, answers = instance.parse(""), tuple(instance.answers)
    except Exception as error:
        raise ValueError(
            f"{name} cannot be used with options {dict(options)}: {type(error).__name__}: {error}; it is called with "
            "the options by name, must have `answers`, and `parse(reply)` must read any text, also an empty one"
        ) from error
    if not isinstance(parsed, Parsed) or not all(isinstance(answer, str) for answer in answers):
        raise ValueError(f"{name}.parse must return a Parsed of datashop_assets.protocols.processor, and answers texts")
    if unread := [answer for answer in answers if instance.parse(answer).score is None]:
        raise ValueError(f"{name}.parse does not read {unread[0]!r}, which its `answers` offer; remove or read it")
    return instance  # type: ignore[no-any-return]


def version_of(name: str) -> str:
    """What changes when the class reads replies otherwise: its `version`, else a digest of its module's source."""
    cls = _class(name)
    if isinstance(version := getattr(cls, "version", None), str):
        return version
    try:
        return digest_of_bytes(inspect.getsource(sys.modules[cls.__module__]).encode())
    except (OSError, TypeError) as error:
        raise ValueError(f"{name} has no source that can be read; give the class a `version`") from error


def _class(name: str) -> type[Any]:
    if name in KNOWN:
        return KNOWN[name]
    try:
        cls = pkgutil.resolve_name(name)
    except Exception as error:
        raise ValueError(
            f"{name} cannot be imported ({type(error).__name__}: {error}); use finalscore0-5, medu, or the import path "
            "package.module:Class of a class on PYTHONPATH"
        ) from error
    if not inspect.isclass(cls):
        raise ValueError(f"{name} is a {type(cls).__name__}, not a class; name the class itself")
    if not callable(getattr(cls, "parse", None)):  # before it is called: `subprocess:Popen` would run its options
        raise ValueError(f"{name} is not a processor: the class has no `parse(reply)`; name another, or write it")
    return cls
