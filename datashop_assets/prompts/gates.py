"""The section `annotator.gates`: what answers must be like before anything is learnt from them."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from datashop_assets.prompts.section import Section

Fraction = Annotated[float, Field(ge=0, le=1)]
Gate = Literal[
    "coverage", "unparsed_share", "both_ends_used", "length_score_band", "longest_decile_kept", "spread_within_sources"
]
ALWAYS: tuple[Gate, ...] = ("coverage", "unparsed_share", "longest_decile_kept")  # the accounts must be right
# By likelihood a score is a topic's probability: a source about nothing else has no spread, and that is no fault.
BLOCKING: dict[str, tuple[Gate, ...]] = {
    "generate": (*ALWAYS, "both_ends_used"),
    "score_token": (*ALWAYS, "both_ends_used"),
    "likelihood": (*ALWAYS, "both_ends_used"),
}


class Gates(Section):
    """Thresholds, and which gates stop a run (`blocking`; null: those that stand for the way of scoring)."""

    coverage: Fraction = 0.95  # least share of asked documents that have a score
    unparsed: Fraction = 0.10  # largest share whose reply holds no score
    low_end: Annotated[float, Field(ge=0, le=5)] = 1.0  # some documents must score at most this
    high_end: Annotated[float, Field(ge=0, le=5)] = 4.0  # and some at least this
    ends: Annotated[int, Field(ge=1)] = 1  # how many documents at each end
    length_score: tuple[float, float] = (-0.10, 0.35)  # band of Spearman's rho of length and score within a source
    longest_decile: Fraction = 0.90  # least share of the longest tenth that has a score
    spread: Annotated[float, Field(ge=0)] = 0.1  # least standard deviation of scores within a source
    source_documents: Annotated[int, Field(ge=3)] = 30  # sources with fewer scores are not judged by themselves
    blocking: tuple[Gate, ...] | None = None

    @model_validator(mode="after")
    def _band_has_two_ends(self) -> Self:
        if not -1 <= self.length_score[0] <= self.length_score[1] <= 1:
            raise ValueError("length_score is a band from -1 to 1, lower end first; correct it")
        if self.low_end >= self.high_end:
            raise ValueError("low_end must be below high_end; correct one of them")
        return self

    def blocks(self, scoring: str) -> tuple[Gate, ...]:
        """The gates that stop a run for a way of scoring."""
        return BLOCKING[scoring] if self.blocking is None else self.blocking
