"""The section `encoder`: the small model that learns the scores."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from datashop_assets.prompts.section import Section


class EncoderSettings(Section):
    """The small model that learns the scores."""

    kind: Literal["fasttext"] = "fasttext"
    dimensions: Annotated[int, Field(ge=2, le=1000)] = 16  # 4 and 64 reach the same AUC
    epochs: Annotated[int, Field(ge=1, le=1000)] = 5  # more where labels are few: models/fasttext.py
    learning_rate: Annotated[float, Field(gt=0, le=5)] = 0.5
    min_subword: Annotated[int, Field(ge=0, le=10)] = 3
    max_subword: Annotated[int, Field(ge=0, le=10)] = 5
    buckets: Annotated[int, Field(ge=1, le=10_000_000)] = 50_000

    @model_validator(mode="after")
    def _subwords_are_ordered(self) -> Self:
        if self.min_subword > self.max_subword:
            raise ValueError("min_subword exceeds max_subword; swap them, or set both to 0 for whole words only")
        return self
