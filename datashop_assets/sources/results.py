"""What the steps of this package give."""

from typing import ClassVar

from datashop_assets.core.step import OpenResult


class PretrainingPoolResult(OpenResult):
    step: ClassVar[str] = "pretraining_pool"


class AnnotationSampleResult(OpenResult):
    step: ClassVar[str] = "annotation_sample"
