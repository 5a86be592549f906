"""What the training set depends on of a prompt, and what it gives."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from datashop_assets.core.step import StepConfig, StepResult
from datashop_assets.prompts.settings import TrainOn

LABELS, LEFT_OUT = "training_set.parquet", "left_out.parquet"  # every label, and every annotation that gave none


class TrainingSetConfig(StepConfig):
    """`train_on`: the expected scores, or which of them reach `positive_from`, the score from which a label is
    positive; `balance`: whether rare positives repeat, where a cut is learnt.
    """

    train_on: TrainOn
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
    positive_at: float  # the target from which a label is positive
    positive_share: float | None  # weighted: of the sample; None where there is no label
    mean_target: float | None  # likewise
    positive_repeat: int
    left_out: dict[str, int]  # by status
    by_source: dict[str, SourceLabels]
    by_fold: tuple[int, ...]  # documents
