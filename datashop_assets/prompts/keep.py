"""The section `keep`: which scored documents to keep."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from datashop_assets.prompts.section import Section, Share


class Keep(Section):
    """Which scored documents to keep: a fraction of documents or of tokens, or all from a score upward."""

    fraction: Share | None = None
    of: Literal["documents", "tokens"] = "documents"
    threshold: Annotated[float, Field(ge=0, le=1)] | None = None

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        if (self.fraction is None) == (self.threshold is None):
            raise ValueError("give exactly one of fraction and threshold")
        return self
