"""What the steps of this package give."""

from typing import ClassVar

from datashop_assets.core.step import OpenResult


class PoolEmbeddingsResult(OpenResult):
    step: ClassVar[str] = "pool_embeddings"


class EncoderResult(OpenResult):
    step: ClassVar[str] = "encoder"
