"""The section `annotator`: who scores the sample, and how much of it."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from datashop_assets.prompts.likelihood import Likelihood
from datashop_assets.prompts.section import Count, Section


class SecondRound(Section):
    """Documents drawn at random within strata of a pilot encoder's score, after the first round; 0 turns it off."""

    documents: Annotated[int, Field(ge=0)] = 150
    strata: Annotated[int, Field(ge=2, le=20)] = 4


class AnnotatorSettings(Section):
    """Who scores the sample, and how much of it."""

    model: str = "smollm2-135m-instruct"
    scoring: Literal["likelihood", "generate"] = "likelihood"
    likelihood: Likelihood | None = None
    sample: Count = 4000
    documents: Count = 450
    second_round: SecondRound = SecondRound()
    read_characters: Annotated[int, Field(ge=50, le=100_000)] = 500  # by encoder and annotator alike

    @model_validator(mode="after")
    def _sample_is_large_enough(self) -> Self:
        if self.documents + self.second_round.documents > self.sample:
            raise ValueError("documents and second_round.documents together exceed sample; raise sample")
        return self
