"""What the steps of this package are configured with, and what they give."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from datashop_assets.core.step import AnnotatorResult, StepConfig, StepResult
from datashop_assets.prompts.annotator_settings import ScoringConfig
from datashop_assets.prompts.keep_settings import CertifiedRule, KeepRule, TokenCount, Unit
from datashop_assets.prompts.prompt import Prompt
from datashop_assets.statistics.figure import Figure

DOCUMENTS, TOKENS = "documents", "tokens"  # folders in the output of `filtered_pool`


class Record(BaseModel):
    """A part of a result."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PoolScoresConfig(StepConfig):
    """Nothing: scores follow from the encoder and the pool alone."""


class PoolScoresResult(StepResult):
    step: ClassVar[str] = "pool_scores"
    documents: int
    positive: int  # scored as much as the encoder's result takes for positive, or more
    not_passed: int  # that a cascade's second encoder did not read
    histogram: tuple[int, ...]  # documents by score, in bins of one width from 0 to 1

    @property
    def positive_share(self) -> float | None:
        return self.positive / self.documents if self.documents else None


class KeepCertificateConfig(StepConfig):
    """The precision or recall that is to be shown, and how a document is labelled."""

    rule: CertifiedRule
    scoring: ScoringConfig
    positive_from: float  # expected score


class Trial(Record):
    """What was found of one candidate threshold."""

    threshold: float
    documents: int  # of the pool that score as much or more
    labels: int
    positives: int
    missed: int = 0  # positives that score less: of a recall
    passed: bool


class KeepCertificateResult(AnnotatorResult):
    """The certificate, or, without a threshold, the refusal of one."""

    step: ClassVar[str] = "keep_certificate"
    rule: CertifiedRule
    threshold: float | None  # the lowest whose precision was shown, or the highest whose recall was
    trials: tuple[Trial, ...]  # in the order in which they were made
    fewest: int  # documents that a threshold must keep to be a candidate
    labels_needed: int | None  # after a refusal: how many may be enough; None where no number is
    labelled: int  # documents that the annotator was asked about
    unlabelled: int  # those of them without a score: they count against it

    @property
    def certified(self) -> Trial | None:
        """The trial that the threshold comes from."""
        passed = [trial for trial in self.trials if trial.passed]
        return passed[-1] if passed else None


class FilteredPoolConfig(StepConfig):
    """The rule, and how what it keeps is written. Gold labels are for the report alone."""

    rule: KeepRule
    count: TokenCount | None  # how tokens are counted; None where the rule is not of tokens
    format: Literal["jsonl.zst", "parquet"]
    slug: str
    gold: tuple[str, ...]
    gold_uri: str


class Selection(Record):
    """Documents and UTF-8 bytes of text before and after the rule, of a source or a split."""

    documents: int
    bytes: int
    kept_documents: int
    kept_bytes: int


class TokenSizes(Record):
    """Tokens by the tokenizer of `pool_tokens`, for a rule of tokens."""

    tokens: int
    kept: int
    counted_documents: int  # the others' tokens are their bytes by the ratio
    bytes_per_token: float


class NearCut(Record):
    """A document that stands so near the cut that another machine might decide otherwise."""

    shard: str
    row: int
    id: str
    margin: float
    score: float
    kept: bool


class GoldFigures(Record):
    """What is kept of held-out documents, against their gold labels. Intervals are Wilson's."""

    kept: int
    targets: int
    precision: Figure
    recall: Figure


class FilteredPoolResult(StepResult):
    step: ClassVar[str] = "filtered_pool"
    headlines: ClassVar[tuple[str, ...]] = ("gold.precision",)
    rule: KeepRule
    unit: Unit  # what the rule counts
    threshold: float | None  # score from which everything is kept: the rule's, or the one certified for it
    total: int | None  # size of the pool in units; None for a threshold, as the next two
    budget: int | None  # units that the rule allows
    tied_at_cut: int | None  # documents with the margin at the cut
    cut: float | None  # the threshold, else the margin of the first document left out; None where nothing is
    cut_score: float | None  # the lowest score kept; None where nothing is
    near_cut: int  # documents within 1e-5 of the cut
    near_cut_documents: tuple[NearCut, ...]  # the first of them
    documents: int
    bytes: int  # of UTF-8 text
    kept_documents: int
    kept_bytes: int
    by_source: Mapping[str, Selection]
    by_split: Mapping[str, Selection]
    tokens: TokenSizes | None  # None where the rule is not of tokens
    gold: GoldFigures | None  # None without gold labels, and where nothing is kept or wanted
    gold_within: Mapping[str, GoldFigures]  # by source


def counts_tokens(prompt: Prompt) -> bool:
    """Whether a prompt's keep rule counts tokens."""
    return prompt.keep.keep_rule.unit == "tokens"


def documents_name(shard: str, form: str) -> str:
    """The file that holds a shard's kept documents."""
    return f"{DOCUMENTS}/{shard}.{form}"


def tokens_name(shard: str) -> str:
    """The file that holds the sizes of a shard's documents, where the rule counts tokens."""
    return f"{TOKENS}/{shard}.parquet"
