"""From an answer to a status and a score: the one place where answers are read."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from datashop_assets.processors.replies import HIGHEST_SCORE, processor
from datashop_assets.protocols.annotator import Answer, Ended, Status
from datashop_assets.protocols.processor import Processor


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

    def repaired(self, first: Judgement, second: Answer) -> Judgement:
        """The judgement after the second try. A second try whose call failed is asked again, so the document failed."""
        again = self.judge(second)
        if again.status is Status.FAILED:
            return Judgement(Status.FAILED, f"{first.status} ({first.reason}), then the second try: {again.reason}")
        if again.expected_score is None:
            return Judgement(first.status, f"{first.reason}; the second try: {again.reason}")
        reason = f"{first.status}: {first.reason}"
        return Judgement(Status.REPAIRED, reason, again.score, again.expected_score, again.entropy)

    def needs_repair(self, judgement: Judgement) -> bool:
        """Whether one second try, constrained to `answers`, may give a score."""
        return bool(self.answers) and judgement.status in (Status.UNPARSED, Status.TRUNCATED)

    @property
    def answers(self) -> tuple[str, ...]:
        """What a second try may answer with."""
        return tuple(self.processor.answers) if self.processor else ()

    def _parsed(self, processor: Processor, raw: str) -> Judgement:
        parsed = processor.parse(raw)
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


def judge_of(parsing: Mapping[str, Any]) -> Judge:
    """The judge for a step's `parsing`: `scores` of the options, or the `processor` of written replies."""
    settings = parsing.get("processor")
    return Judge(processor(settings["type"], settings["options"]) if settings else None, parsing.get("scores", {}))


def _scored(expected: float, entropy: float | None) -> Judgement:
    expected = round(min(max(expected, 0.0), float(HIGHEST_SCORE)), 5)
    bits = None if entropy is None else round(entropy, 5)
    return Judgement(Status.PARSED, "", int(expected + 0.5), expected, bits)
