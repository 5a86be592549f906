"""What the steps of this package give."""

from typing import ClassVar

from datashop_assets.core.step import OpenResult


class PoolTokensResult(OpenResult):
    step: ClassVar[str] = "pool_tokens"


class DecontaminationResult(OpenResult):
    step: ClassVar[str] = "decontamination"


class ControlLMResult(OpenResult):
    step: ClassVar[str] = "control_lm"


class MatchedLMResult(OpenResult):
    step: ClassVar[str] = "matched_lm"


class TrainedLMResult(OpenResult):
    step: ClassVar[str] = "trained_lm"
