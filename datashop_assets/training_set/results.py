"""What the steps of this package give."""

from typing import ClassVar

from datashop_assets.core.step import OpenResult


class TrainingSetResult(OpenResult):
    step: ClassVar[str] = "training_set"
