"""From an annotator's answer to a status and a score: the one place where answers are read.

An answer is either a written reply, whose score a processor reads, or the probabilities of the question's options, each
of which stands for a score. `Judge` gives every answer exactly one status, with a reason unless it is `parsed`.

Two processors come with Datashop: `finalscore0-5` reads the number after the last `Final score:`, `medu` the last of
the words Great, Good, Okay, Poor and Useless, as 5 to 1. Any other name is the import path of a class of the user's.
"""

import inspect
import math
import pkgutil
import re
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue

from datashop_assets.protocols.annotator import Answer, Ended, Status
from datashop_assets.protocols.processor import Parsed, Processor
from datashop_assets.storage.digests import digest_of_bytes

HIGHEST_SCORE = 5


class ProcessorConfig(BaseModel):
    """All that the meaning of a written reply depends on. `version` of a user's class is a digest of its source."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    type: str
    options: dict[str, JsonValue]
    version: str


class WrittenParsing(BaseModel):
    """A processor reads the score in a written reply."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    processor: ProcessorConfig


class OptionParsing(BaseModel):
    """The answer is a probability for each option: the expected score is the mean of their scores, 0 to 5."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    scores: dict[str, float]


Parsing = WrittenParsing | OptionParsing


@dataclass(frozen=True, slots=True)
class Judgement:
    """How an answer is counted, and its scores from 0 to 5; all None unless the status is parsed or repaired."""

    status: Status
    reason: str  # empty where the status is `parsed`
    score: int | None = None
    expected_score: float | None = None
    entropy: float | None = None  # in bits, of the probabilities over the options; None for a written reply


@dataclass(frozen=True)
class Judge:
    """Reads the answers of one way of scoring: written replies by `processor`, probabilities by `scores`."""

    processor: Processor | None
    scores: Mapping[str, float]  # option -> score

    @classmethod
    def of(cls, parsing: Parsing) -> "Judge":
        if isinstance(parsing, OptionParsing):
            return cls(None, parsing.scores)
        return cls(processor(parsing.processor.type, parsing.processor.options), {})

    def judge(self, answer: Answer) -> Judgement:
        """How one answer is counted. A failed call and a refusal are not read."""
        match answer.ended:
            case Ended.FAILED:
                return Judgement(Status.FAILED, answer.reason or "no reason given")
            case Ended.REFUSED:
                return Judgement(Status.REFUSED, answer.reason or "refused")
        if self.processor is None:
            return self._weighed(answer)
        if answer.ended is Ended.LENGTH:  # a score before the cut may be one that the model was about to reject
            return Judgement(Status.TRUNCATED, f"cut off after {answer.tokens_out} tokens; raise sampling.max_tokens")
        return self._parsed(self.processor, answer.raw)

    def needs_repair(self, judgement: Judgement) -> bool:
        """Whether one second try, constrained to `answers`, may give a score."""
        return bool(self.answers) and judgement.status in (Status.UNPARSED, Status.TRUNCATED)

    @property
    def answers(self) -> tuple[str, ...]:
        """What a second try may answer with."""
        return tuple(self.processor.answers) if self.processor else ()

    def repaired(self, first: Judgement, second: Answer) -> Judgement:
        """The judgement after the second try. A second try whose call failed is asked again, so the document failed."""
        again = self.judge(second)
        if again.status is Status.FAILED:
            return Judgement(Status.FAILED, f"{first.status} ({first.reason}), then the second try: {again.reason}")
        if again.expected_score is None:
            return Judgement(first.status, f"{first.reason}; the second try: {again.reason}")
        reason = f"{first.status}: {first.reason}"
        return Judgement(Status.REPAIRED, reason, again.score, again.expected_score, again.entropy)

    def _parsed(self, processor: Processor, raw: str) -> Judgement:
        try:
            parsed = processor.parse(raw)
        except SystemExit as error:  # a step that fails says why, and other prompts go on
            raise RuntimeError(f"the processor {type(processor).__name__} exits on a reply ({error})") from error
        if parsed.score is None:
            return Judgement(Status.UNPARSED, parsed.reason or "the processor gives no reason")
        if not 0 <= parsed.score <= HIGHEST_SCORE:  # also where it is not a number
            return Judgement(
                Status.UNPARSED, f"the processor says {parsed.score}, which is not from 0 to {HIGHEST_SCORE}"
            )
        return _scored(float(parsed.score), None)

    def _weighed(self, answer: Answer) -> Judgement:
        probabilities = answer.probabilities
        if probabilities is None or set(probabilities) != set(self.scores):
            return Judgement(Status.UNPARSED, "the answer holds no probabilities over the options")
        total = sum(probabilities.values())
        if not abs(total - 1) < 1e-3:
            return Judgement(Status.UNPARSED, f"the probabilities over the options add up to {total}")
        expected = sum(probability * self.scores[option] for option, probability in probabilities.items())
        return _scored(expected, -sum(p * math.log2(p) for p in probabilities.values() if p > 0))


def _scored(expected: float, entropy: float | None) -> Judgement:
    expected = round(min(max(expected, 0.0), float(HIGHEST_SCORE)), 5)
    bits = None if entropy is None else round(entropy, 5)
    return Judgement(Status.PARSED, "", int(expected + 0.5), expected, bits)


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
        read = [instance.parse(answer) for answer in answers if isinstance(answer, str)]
    except BaseException as error:  # also one that exits
        if _stops_us(error):
            raise
        raise ValueError(
            f"{name} cannot be used with options {dict(options)}: {type(error).__name__}: {error}; it is called with "
            "the options by name, must have `answers`, and `parse(reply)` must read any text, also an empty one"
        ) from error
    if not all(isinstance(one, Parsed) for one in (parsed, *read)) or len(read) < len(answers):
        raise ValueError(f"{name}.parse must return a Parsed of datashop_assets.protocols.processor, and answers texts")
    if unread := [answer for answer, one in zip(answers, read, strict=True) if one.score is None]:
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
    except BaseException as error:
        if _stops_us(error):
            raise
        raise ValueError(
            f"{name} cannot be imported ({type(error).__name__}: {error}); use finalscore0-5, medu, or the import path "
            "package.module:Class of a class on PYTHONPATH"
        ) from error
    if not inspect.isclass(cls):
        raise ValueError(f"{name} is a {type(cls).__name__}, not a class; name the class itself")
    if not callable(getattr(cls, "parse", None)):  # before it is called: `subprocess:Popen` would run its options
        raise ValueError(f"{name} is not a processor: the class has no `parse(reply)`; name another, or write it")
    return cls


def _stops_us(error: BaseException) -> bool:
    """Whether a signal ends what we do, rather than a processor's code: signals reach the main thread alone."""
    by_signal = isinstance(error, KeyboardInterrupt) or type(error).__module__.startswith("dagster.")
    return by_signal and threading.current_thread() is threading.main_thread()
