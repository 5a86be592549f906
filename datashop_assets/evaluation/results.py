"""What the steps of this package give."""

from typing import ClassVar

from datashop_assets.core.step import OpenResult


class EvaluationTargetsResult(OpenResult):
    step: ClassVar[str] = "evaluation_targets"


class EvaluationResult(OpenResult):
    step: ClassVar[str] = "evaluation"
    volatile: ClassVar[frozenset[str]] = frozenset({"training_seconds"})
