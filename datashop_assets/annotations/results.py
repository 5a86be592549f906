"""What `annotations` and `annotator_report` depend on, and what they give to later steps, the card and the UI."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from datashop_assets.asking.replies import Parsing
from datashop_assets.asking.usage import TokensSpent
from datashop_assets.core.step import AnnotatorResult, AskingResult, StepConfig
from datashop_assets.prompts.annotator_settings import (
    AnnotationQuestionConfig,
    EncoderRankingConfig,
    QuestionRankingConfig,
    ScoringConfig,
    SecondRound,
)
from datashop_assets.statistics.figure import Figure

BY_CHANCE = 0.01  # how probable a difference between endpoints may be that is still put down to chance


class AnnotationsConfig(StepConfig):
    question: AnnotationQuestionConfig
    parsing: Parsing
    documents: int  # of the first round
    second_round: SecondRound
    cascade: EncoderRankingConfig | QuestionRankingConfig | None  # what ranks the sample; None: a pilot encoder


class AnnotationDigests(BaseModel):
    """`generation` names the answers in the store; `parsing` covers how they are read, too."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    generation: str
    parsing: str


class EndpointSummary(BaseModel):
    """What one address answered. Its mean is compared with that of the others within rounds and strata.

    Which endpoint a document is sent to does not depend on the document, so that endpoints that score alike have means
    that differ by chance alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    address: str
    by_status: dict[str, int]  # of the documents that it was the last to be asked about; empty ones left out
    mean_score: Figure | None  # of its documents that have a score, not weighted
    difference: Figure | None  # its mean less that of the others, in points; None where there is nothing to compare
    p_value: float | None  # of that difference, corrected for the number of endpoints (Holm)
    otherwise: list[str]  # how it was asked or answered, where not as the question says

    @property
    def documents(self) -> int:
        return sum(self.by_status.values())


class AnnotationsSummary(BaseModel):
    """What the rows of a set of annotations add up to. Counts are of documents unless they say otherwise."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    asked: int
    not_drawn: int
    by_status: dict[str, int]
    reasons: dict[str, int]  # the most frequent ones, of documents without a score; with the end of one such reply
    by_round: dict[str, int]
    by_endpoint: dict[str, int]
    endpoints: list[EndpointSummary] = []  # empty in what was made before this was recorded
    ceiling: int | None = None  # tokens to which a server seems to cut prompts and not say so
    coverage: float  # share of asked that have a score
    unparsed_share: float  # share of asked whose reply gave none
    cut: int  # less than all of them was read
    documents_claiming_score: int = 0  # they hold what reads like a verdict; 0 in what was made before that was counted
    claiming_without_score: int = 0  # of these
    tokens_in: int  # as servers report them
    tokens_out: int
    documents_per_second: float | None  # of one request after the other
    mean_score: float | None  # of the whole sample, by weight
    mean_entropy: float | None  # bits, of answers that are probabilities
    score_histogram: list[int]  # in [0, 0.5), [0.5, 1), ... [4.5, 5]

    @property
    def differing_endpoints(self) -> list[EndpointSummary]:
        """Endpoints whose mean score is apart from that of the others by more than chance."""
        return [one for one in self.endpoints if one.p_value is not None and one.p_value < BY_CHANCE]

    @property
    def servers(self) -> list[str]:
        """What the servers that answered say they are; more than one may be more than one revision of the model."""
        return sorted({said for endpoint in self.by_endpoint if (said := endpoint.partition(" ")[2])})


class AnnotationsResult(AnnotationsSummary, AnnotatorResult):
    step: ClassVar[str] = "annotations"
    headlines: ClassVar[tuple[str, ...]] = ("coverage",)
    volatile: ClassVar[frozenset[str]] = frozenset(
        ("asked_now", "seconds_asking", "documents_per_second", "endpoints", "budget_reached", "spent", "first_pass")
    )
    scoring: str
    pilot: str  # what the second round was drawn by
    asked_now: int  # documents that this run sent to the annotator; the others had an answer
    seconds_asking: float  # of all runs that made it
    first_pass: TokensSpent | None = None  # what an annotator's first pass took; None where there is none
    budget_reached: list[str] = []  # limits that were reached with all documents asked
    damaged_parts: list[str]  # of the answer store, set aside
    digests: AnnotationDigests

    def tokens_spent(self) -> int:
        own = self.tokens_in + self.tokens_out if self.spent is None else self.spent.total
        return own + (self.first_pass.total if self.first_pass else 0)

    def seconds_of_all_runs(self) -> float:
        return self.seconds_asking


class RepetitionConfig(BaseModel):
    """How many documents the same annotator is asked about again, with `seed` added to the question's."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    documents: int
    seed: int


class SecondAnnotatorConfig(ScoringConfig):
    """A second annotator, and how many documents it is asked about."""

    documents: int


class AnnotatorReportConfig(StepConfig):
    question: AnnotationQuestionConfig
    parsing: Parsing
    again: RepetitionConfig
    second: SecondAnnotatorConfig | None


class ScoreSummary(BaseModel):
    """Scores of a group of documents: `mean` weighted, `quartiles` of those that have a score."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    documents: int
    scored: int
    mean: float | None
    quartiles: tuple[float, float, float] | None


class LengthGroup(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    characters: tuple[int, int]  # of the shortest and the longest document
    scores: ScoreSummary


class SourceGroup(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    source: str
    scores: ScoreSummary


class NoAgreement(BaseModel):
    """Why no agreement is known, and how many documents have two scores all the same."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    documents: int
    note: str


class Agreement(BaseModel):
    """How well two readings of the same documents agree; a figure is None where it is not defined for these scores.

    All figures are weighted, so that they describe the sample. Scores are whole numbers for kappa, for `same_score` and
    for the confusion.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    asked: int
    without_score: int  # of those asked: no second score
    documents: int  # with both scores
    quadratic_kappa: Figure | None
    spearman: Figure | None
    same_score: Figure | None
    mean_difference: Figure | None  # second minus first, in points
    confusion: list[list[int]]  # [6, 6] documents, rows by the first score


class SecondAgreement(BaseModel):
    """Who the second annotator is, and how it agrees with the first."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    model: str
    revision: str
    scoring: str
    agreement: Agreement | NoAgreement


class AnnotatorReportResult(AskingResult):
    step: ClassVar[str] = "annotator_report"
    scores: ScoreSummary  # of all documents
    by_length: list[LengthGroup]  # tenths, from the shortest
    by_source: list[SourceGroup]  # the largest first
    self_agreement: Agreement | NoAgreement
    second_annotator: SecondAgreement | None
