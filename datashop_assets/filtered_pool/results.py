"""What the steps of this package give."""

from typing import ClassVar

from datashop_assets.core.step import OpenResult


class PoolScoresResult(OpenResult):
    step: ClassVar[str] = "pool_scores"


class KeepCertificateResult(OpenResult):
    step: ClassVar[str] = "keep_certificate"


class FilteredPoolResult(OpenResult):
    step: ClassVar[str] = "filtered_pool"
