"""The section `keep`: which scored documents to keep."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from datashop_assets.prompts.section import Count, Section, Share

RULES = ("fraction", "tokens", "threshold", "precision")


class Keep(Section):
    """Which scored documents to keep, and how they are written.

    One rule of four: a `fraction` of documents or of tokens; a budget of `tokens`, spent from the highest score down;
    every score from a `threshold` upward; or the lowest threshold of which the annotator's labels show, with
    probability 1 - `delta`, that its `precision` is at least this.
    """

    fraction: Share | None = None
    of: Literal["documents", "tokens"] = "documents"
    tokens: Count | None = None
    threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    precision: Annotated[float, Field(ge=0.05, lt=1)] | None = None
    delta: Annotated[float, Field(ge=1e-6, le=0.5)] = 0.05
    labels: Count = 200  # at most this many documents are asked about
    design: Literal["anytime", "fixed"] = "anytime"  # fixed needs fewer, and none may be added afterwards
    format: Literal["jsonl.zst", "parquet"] = "jsonl.zst"

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        if sum(getattr(self, rule) is not None for rule in RULES) != 1:
            raise ValueError(f"give exactly one of {', '.join(RULES)}")
        return self

    def rule(self) -> dict[str, float | int | str]:
        """The rule and what belongs to it, without what belongs to the others."""
        if self.fraction is not None:
            return {"fraction": self.fraction, "of": self.of}
        if self.tokens is not None:
            return {"budget": self.tokens, "of": "tokens"}
        if self.threshold is not None:
            return {"threshold": self.threshold}
        assert self.precision is not None, "one rule is given"
        return {name: getattr(self, name) for name in ("precision", "delta", "labels", "design")}
