"""What the steps of this package give."""

from typing import ClassVar

from datashop_assets.core.step import OpenResult


class AnnotationsResult(OpenResult):
    step: ClassVar[str] = "annotations"
    volatile: ClassVar[frozenset[str]] = frozenset({"asked_now", "seconds_asking", "documents_per_second"})
