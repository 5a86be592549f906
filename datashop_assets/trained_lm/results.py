"""What the steps of this package give."""

from typing import ClassVar

from datashop_assets.core.step import OpenResult

OF_TRAINING = frozenset({"training_seconds", "tokens_per_second"})


class PoolTokensResult(OpenResult):
    step: ClassVar[str] = "pool_tokens"
    bytes_per_token: float


class DecontaminationResult(OpenResult):
    step: ClassVar[str] = "decontamination"


class ControlLMResult(OpenResult):
    step: ClassVar[str] = "control_lm"
    volatile: ClassVar[frozenset[str]] = OF_TRAINING


class MatchedLMResult(OpenResult):
    step: ClassVar[str] = "matched_lm"
    volatile: ClassVar[frozenset[str]] = OF_TRAINING


class TrainedLMResult(OpenResult):
    step: ClassVar[str] = "trained_lm"
    volatile: ClassVar[frozenset[str]] = OF_TRAINING
