"""Tokens that answers took: as servers report them, and estimated from bytes where a server reports none."""

import math
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from datashop_assets.protocols.annotator import Answer, Ended, Question

BYTES_A_TOKEN = 3.0  # of what no server counted: less than English has, so that a budget is not overrun


class TokensSpent(BaseModel):
    """What the answers of a step took. All but `reported` tells of the runs that asked, and not of what they made."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    reported: int = 0  # read and written, by servers that say so
    without_usage: int = 0  # answers whose server says nothing, or half
    estimated: int = 0  # tokens that these servers did not report, from bytes
    lost: int = 0  # estimated, of calls that failed after the server may have processed them; of all runs

    @classmethod
    def of(cls, question: Question, answers: Iterable[Answer], lost: int = 0) -> "TokensSpent":
        """Of these answers to one question; `lost` is what the store says of it."""
        reported = without_usage = estimated = 0
        for answer in answers:
            reported += answer.tokens_in + answer.tokens_out
            missing = unreported_tokens(question, answer)
            without_usage += missing > 0
            estimated += missing
        return cls(reported=reported, without_usage=without_usage, estimated=estimated, lost=lost)

    def __add__(self, other: "TokensSpent") -> "TokensSpent":
        mine, others = self.model_dump(), other.model_dump()
        return TokensSpent(**{name: count + others[name] for name, count in mine.items()})

    @property
    def total(self) -> int:
        return self.reported + self.estimated + self.lost

    def sentences(self) -> str:
        """What no server reported is marked as estimated."""
        said = f"{self.reported:,} tokens, as servers report them."
        if self.without_usage:
            said += (
                f" {self.without_usage} answers are of a server that reports none, or half: {self.estimated:,} for "
                "what is missing, estimated from bytes."
            )
        if self.lost:
            said += (
                " Calls that failed after the server may have processed them took up to "
                f"{self.lost:,} tokens more, estimated."
            )
        return said


def unreported_tokens(question: Question, answer: Answer) -> int:
    """Tokens that the server of an answer did not report, estimated; 0 where it reported both halves."""
    if answer.ended is Ended.FAILED or not answer.text:
        return 0
    return estimated_tokens(question, answer.text, answer.raw, answer.tokens_in, answer.tokens_out)


def estimated_tokens(question: Question, text: str, reply: str, tokens_in: int = 0, tokens_out: int = 0) -> int:
    """Tokens of the halves that a server did not report: of question and `text` together, and of the reply.

    A reply that has words has tokens. Where nothing is written, the server that reports what it read reports enough.
    """
    read = 0.0 if tokens_in else (size_of(question.prompt) + size_of(text)) / BYTES_A_TOKEN
    if question.writes:
        written = 0 if tokens_out else size_of(reply) / BYTES_A_TOKEN
    else:
        written = 0 if tokens_out or tokens_in else 1
    return math.ceil(read + written)


def size_of(text: str) -> int:
    """Bytes in UTF-8; of half a character, which no server takes, as many as of a whole one."""
    return len(text.encode("utf-8", "surrogatepass"))
