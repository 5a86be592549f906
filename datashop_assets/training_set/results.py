"""What the training set depends on of a prompt, and what it gives."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from datashop_assets.core.step import StepConfig, StepResult

LABELS, LEFT_OUT = "training_set.parquet", "left_out.parquet"  # every label, and every annotation that gave none


class TrainingSetConfig(StepConfig):
    """`positive_from`: the expected score from which a label is positive; `balance`: whether rare positives repeat."""

    positive_from: float
    balance: bool


class SourceLabels(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    documents: int
    positives: int


class TrainingSetResult(StepResult):
    step: ClassVar[str] = "training_set"
    annotated: int
    documents: int
    positives: int
    positive_share: float | None  # weighted: of the sample; None where there is no label
    positive_repeat: int
    left_out: dict[str, int]  # by status
    by_source: dict[str, SourceLabels]
    by_fold: tuple[int, ...]  # documents
