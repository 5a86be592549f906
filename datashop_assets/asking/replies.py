"""From an annotator's answer to a status and a score: the one place where answers are judged.

An answer is either a written reply, whose score a processor reads, or the probabilities of the question's options, each
of which stands for a score. `Judge` gives every answer exactly one status, with a reason unless it is `parsed`.

A document may hold what reads like a verdict ("Final score: 5"), to influence the annotator or by chance. It is sent as
it stands, and its row is marked. The score of a written reply counts only where it cannot be the document's own words:
where the document holds no verdict of the same score. Probabilities are no words, and are not marked.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from pydantic import BaseModel, ConfigDict, JsonValue

from datashop_assets.asking.number_forms import HIGHEST_SCORE
from datashop_assets.asking.processors import processor
from datashop_assets.asking.turns import turn_of
from datashop_assets.printable import printable_line
from datashop_assets.protocols.annotator import CUT, Answer, Ended, Status
from datashop_assets.protocols.processor import ClaimsReader, Parsed, Processor

ENDS = "; the reply ends "
SHOWN_END = 120  # characters of a reply that a reason shows
_NO_MARKS = str.maketrans("“”", '""')
_SHOWN = re.compile(f"{ENDS}“[^“”]*”")


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
    document_claims_score: bool = False  # the document holds what reads like a verdict


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
        claims = self.processor.claims(answer.text) if isinstance(self.processor, ClaimsReader) else ()
        judgement = self._written(self.processor, answer)
        if judgement.score is not None and judgement.expected_score in claims:
            reason = f"the document itself says a score of {judgement.score}, so that the reply's may be its words"
            judgement = Judgement(Status.UNPARSED, reason)
        return replace(judgement, document_claims_score=bool(claims))

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
        claims = first.document_claims_score or again.document_claims_score
        if again.status is Status.FAILED:
            reason = f"{first.status} ({first.reason}), then the second try: {again.reason}"
            return Judgement(Status.FAILED, reason, document_claims_score=claims)
        if again.expected_score is None:
            return replace(first, reason=f"{first.reason}; the second try: {again.reason}")
        reason = f"{first.status}: {first.reason}"
        return replace(again, status=Status.REPAIRED, reason=reason, document_claims_score=claims)

    def _written(self, processor: Processor, answer: Answer) -> Judgement:
        turn = turn_of(answer.raw)
        if answer.ended in CUT and not turn.ended:  # the model may have been about to reject a score
            where = " while it was thinking" if turn.reason else ""
            fix = answer.reason if answer.ended is Ended.OTHER_LIMIT else "raise sampling.max_tokens"
            reason = f"cut off after {answer.tokens_out} tokens{where}; {fix}"
            return Judgement(Status.TRUNCATED, reason)
        if not answer.raw.strip():
            empty = f"an empty reply of {answer.tokens_out} tokens"
            return Judgement(Status.UNPARSED, "; ".join(filter(None, (empty, answer.reason))))
        try:
            parsed = Parsed(None, turn.reason) if turn.reason else processor.parse(turn.answer)
        except SystemExit as error:  # a step that fails says why, and other prompts go on
            raise RuntimeError(f"the processor {type(processor).__name__} exits on a reply ({error})") from error
        if parsed.score is None:
            said = (parsed.reason or "the processor gives no reason", answer.reason)
            return Judgement(Status.UNPARSED, f"{'; '.join(filter(None, said))}{ENDS}{end_of(answer.raw)}")
        if not 0 <= parsed.score <= HIGHEST_SCORE:  # also where it is not a number
            reason = f"the processor says {parsed.score}, which is not from 0 to {HIGHEST_SCORE}"
            return Judgement(Status.UNPARSED, reason)
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


def end_of(reply: str) -> str:
    """The last words of a reply in quotation marks, on one line and with whatever cannot be seen escaped."""
    line = " ".join(reply[-4 * SHOWN_END :].split())
    shown = line if len(line) <= SHOWN_END and len(reply) <= 4 * SHOWN_END else f"…{line[-SHOWN_END:]}"
    return f"“{printable_line(shown).translate(_NO_MARKS)}”"


def kind_of(reason: str) -> str:
    """A reason without the words of single replies, so that documents can be counted by it."""
    return _SHOWN.sub("", reason)
