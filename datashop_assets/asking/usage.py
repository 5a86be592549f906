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
    estimated: int = 0  # tokens of these, from their bytes
    lost: int = 0  # estimated, of calls that failed after the server may have processed them; of all runs

    @classmethod
    def of(cls, question: Question, answers: Iterable[Answer], lost: int = 0) -> "TokensSpent":
        """Of these answers to one question; `lost` is what the store says of it."""
        reported = without_usage = estimated = 0
        for answer in answers:
            reported += answer.tokens_in + answer.tokens_out
            if is_unreported(answer):
                without_usage += 1
                estimated += estimated_tokens(question, answer.text, answer.raw, answer.tokens_out)
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
                f" {self.without_usage} answers are of a server that reports none: {self.estimated:,} for these, "
                "estimated from their bytes."
            )
        if self.lost:
            said += (
                " Calls that failed after the server may have processed them took up to "
                f"{self.lost:,} tokens more, estimated."
            )
        return said


def estimated_tokens(question: Question, text: str, reply: str, tokens_out: int = 0) -> int:
    """Tokens that a server did not report: of the question, of what was read, and of the reply but for `tokens_out`."""
    written = 0.0 if tokens_out else size_of(reply) / BYTES_A_TOKEN if question.writes else 1.0
    return math.ceil((size_of(question.prompt) + size_of(text)) / BYTES_A_TOKEN + written)


def is_unreported(answer: Answer) -> bool:
    """Whether a server answered and did not say how many tokens it read."""
    return answer.tokens_in == 0 and answer.ended is not Ended.FAILED and bool(answer.text)


def size_of(text: str) -> int:
    """Bytes in UTF-8; of half a character, which no server takes, as many as of a whole one."""
    return len(text.encode("utf-8", "surrogatepass"))
