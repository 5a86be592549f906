"""What the steps of this package give."""

from typing import ClassVar

from datashop_assets.core.step import OpenResult

OK = "ok"  # the status of a row that is a document
OTHERS = "(other sources)"  # counted together: a source field may hold a URL


class PretrainingPoolResult(OpenResult):
    step: ClassVar[str] = "pretraining_pool"


class AnnotationSampleResult(OpenResult):
    step: ClassVar[str] = "annotation_sample"
