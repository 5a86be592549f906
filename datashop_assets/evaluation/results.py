"""What the steps of this package depend on and give: configurations, verdicts, results."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict

from datashop_assets.core.step import AskingResult, StepConfig, StepOutput, StepResult
from datashop_assets.documents.sources import DocumentSource
from datashop_assets.prompts.annotator_settings import ScoringConfig
from datashop_assets.prompts.settings import Primary
from datashop_assets.statistics.figure import LEVEL, Figure

TARGETS = "targets.parquet"
COMPARISON = "comparison.parquet"
LOSSES = "losses.parquet"
REPORT = "report.md"
EVERY_SOURCE = ""
FEW = 100  # documents: below, what they are like decides as much as what the model has read
Against = Literal["control", "matched"]
CONTROLS: Mapping[Against, str] = {"control": "the plain control", "matched": "the matched control"}
Origin = Literal["given", "gold", "annotator"]


class Kind(StrEnum):
    TARGET = "target"
    GENERAL = "general"


class Verdict(StrEnum):
    BETTER = "better"
    WORSE = "worse"
    SAME = "not distinguishable"
    NONE = "no verdict: one seed has no interval"

    @classmethod
    def by_interval(cls, difference: Figure) -> Self:
        """Better or worse where the interval does not hold zero. Below zero is better."""
        if difference.low is None or difference.high is None:
            return cls.NONE
        if difference.high < 0:
            return cls.BETTER
        return cls.WORSE if difference.low > 0 else cls.SAME

    @classmethod
    def by_corrected_p(cls, difference: float, p: float | None) -> Self:
        """Of one measure among many, by its p value corrected for that. Below zero is better."""
        if p is None:
            return cls.NONE
        if p > 1 - LEVEL:
            return cls.SAME
        return cls.BETTER if difference < 0 else cls.WORSE


class TargetScoringConfig(BaseModel):
    """How the annotator scores documents, and from which expected score on one is a target."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    scoring: ScoringConfig
    positive_from: float


class EvaluationTargetsConfig(StepConfig):
    """Target documents are those named, else those with gold labels, else those that the annotator scores high."""

    targets: DocumentSource | None  # that a prompt names
    gold: tuple[str, ...]
    gold_uri: str  # the pool whose gold labels they are
    target_documents: int
    general_documents: int
    annotator: TargetScoringConfig | None  # None where it has no say


class EvaluationTargetsResult(AskingResult):
    step: ClassVar[str] = "evaluation_targets"
    targets_from: Origin
    target_documents: int
    general_documents: int
    by_source: dict[Kind, dict[str, int]]
    in_training_part: int = 0  # named documents that the pool trains on: left out
    targets_rejected: int = 0  # rows of the named files that are no documents
    asked: int = 0  # documents that the annotator was asked about
    without_score: int = 0  # of them: left out


class EvaluationConfig(StepConfig):
    primary: Primary  # the one measure that the verdict goes by


class Measure(BaseModel):
    """The candidate against one of its controls on documents of a kind, and of one source or of all.

    `difference` is candidate minus control in bits per byte, with its interval over seeds: below zero is better.
    `over_documents` is the same with the interval over documents under these very models, too narrow to judge a recipe
    by. `p` is of the paired t test over seeds, None for one seed; `p_corrected` by the fixed sequence or by Holm's
    method, None for the primary measure. The verdict goes by the interval where the measure is primary, and by
    `p_corrected` where it is not.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    against: Against
    kind: Kind
    source: str  # EVERY_SOURCE: all
    primary: bool
    documents: int
    bytes: int
    control: float  # bits per byte, mean of the seeds
    trained: float
    difference: Figure
    over_documents: Figure
    p: float | None
    p_corrected: float | None
    verdict: Verdict

    def follows(self, primary: "Measure") -> bool:
        """Whether this is tested right after the primary measure: the same documents against the other control."""
        return (self.kind, self.source) == (primary.kind, primary.source) and self.against != primary.against

    def row(self) -> dict[str, Any]:
        """As a row of `comparison.parquet`, which holds no nested values."""
        return self.model_dump(mode="json", exclude={"difference", "over_documents"}) | {
            "difference": self.difference.value,
            "low": self.difference.low,
            "high": self.difference.high,
            "documents_low": self.over_documents.low,
            "documents_high": self.over_documents.high,
        }

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Self:
        nested = {
            "difference": Figure(value=row["difference"], low=row["low"], high=row["high"]),
            "over_documents": Figure(value=row["difference"], low=row["documents_low"], high=row["documents_high"]),
        }
        return cls.model_validate({name: row[name] for name in cls.model_fields if name not in nested} | nested)


class EvaluationResult(StepResult):
    """`verdict` is that of the primary measure. `measures` are those of all sources together."""

    step: ClassVar[str] = "evaluation"
    headlines: ClassVar[tuple[str, ...]] = ("verdict",)
    volatile: ClassVar[frozenset[str]] = frozenset({"training_seconds"})
    verdict: Verdict
    measures: list[Measure]
    seeds: int
    filtered_epochs: float  # how often the candidate went through the kept documents
    matched_epochs: float | None  # and the matched control through its own; None where there is none
    tokens: int  # that every model was trained on
    parameters: int
    training_seconds: dict[str, float]  # by model, all seeds
    training_flops: int  # of all seeds of all models
    targets_from: Origin

    @property
    def primary(self) -> Measure:
        return next(measure for measure in self.measures if measure.primary)

    @property
    def reservations(self) -> tuple[str, ...]:
        """What a reader must know beside the verdict: it stands wherever the verdict does."""
        primary, found = self.primary, list[str]()
        if primary.documents < FEW:
            found.append(f"judged on {primary.documents} documents, which are few")
        if self.targets_from == "annotator" and primary.kind is Kind.TARGET:
            found.append("circular, because the annotator chose these documents itself")
        return tuple(found)

    def measure(self, against: Against, kind: Kind) -> Measure | None:
        """On all documents of a kind; None where that control was not asked for, or there is none of the kind."""
        found = (one for one in self.measures if (one.against, one.kind) == (against, kind))
        return next(found, None)


class Disagreement(BaseModel):
    """A measure of all sources whose verdict is another at the second learning rate."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    first: Measure
    second: Measure

    @property
    def sentence(self) -> str:
        first, second = self.first, self.second
        than = "from" if second.verdict == Verdict.SAME else "than"
        return (
            f"on {second.kind} documents the candidate is {second.verdict} {than} {CONTROLS[second.against]} "
            f"({second.difference.value:+.3f}), and at the first {first.verdict} "
            f"({first.difference.value:+.3f})"
        )


class SensitivityResult(StepResult):
    """The verdict at a second learning rate. `measures` are those of all sources together, at that rate."""

    step: ClassVar[str] = "sensitivity"
    headlines: ClassVar[tuple[str, ...]] = ("verdict",)
    verdict: Verdict
    measures: list[Measure]
    learning_rates: tuple[float, float]  # the prompt's, and the second
    disagreements: list[Disagreement]

    @property
    def sentence(self) -> str:
        """Where the two rates disagree: it stands wherever the verdict does."""
        first, second = self.learning_rates
        at = f"At a learning rate of {second:g}, in place of {first:g},"
        if all(one.verdict is Verdict.NONE for one in self.measures):
            return f"{at} there is no verdict either: one seed has no interval."
        if not self.disagreements:
            return f"{at} every verdict is the same."
        return f"{at} verdicts differ: {'; '.join(one.sentence for one in self.disagreements)}."


def read_measures(output: StepOutput[EvaluationResult] | StepOutput[SensitivityResult]) -> list[Measure]:
    """All measures of a finished evaluation: those of all sources together, and source by source."""
    return [Measure.of_row(row) for row in output.table(COMPARISON).to_dicts()]
