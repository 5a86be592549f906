"""The section `annotator.budget`: where annotation stops. It changes no digest: no answer depends on it."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from datashop_assets.prompts.section import Count, Section

Amount = Annotated[float, Field(gt=0)]


class Budget(Section):
    """What may be spent on the answers to one question, over all runs; the first limit that is reached counts."""

    tokens: Count | None = None  # read and written
    hours: Amount | None = None  # of asking, by the clock
    money: Amount | None = None  # hours at the price of `hardware`
    hardware: str | None = None  # of the price table; None: what the table says for annotations

    @model_validator(mode="after")
    def _has_a_limit(self) -> Self:
        if self.tokens is None and self.hours is None and self.money is None:
            raise ValueError("a budget has at least one of tokens, hours and money; give one, or remove the section")
        return self
