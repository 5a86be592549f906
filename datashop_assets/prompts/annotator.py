"""The section `annotator`: who scores the sample, how, and how much of it."""

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from datashop_assets.excerpts import Part
from datashop_assets.prompts.budget import Budget
from datashop_assets.prompts.cascade import Cascade
from datashop_assets.prompts.gates import Gates
from datashop_assets.prompts.likelihood import Likelihood
from datashop_assets.prompts.report import Report
from datashop_assets.prompts.score_token import ScoreToken
from datashop_assets.prompts.section import Count, Scoring, Section

SMALL, FIELD = "smollm2-135m-instruct", "Llama-3.3-70B-Instruct"  # what is embedded; what the field annotates with


class SecondRound(Section):
    """Documents drawn at random within strata of a pilot encoder's score, after the first round; 0 turns it off."""

    documents: Annotated[int, Field(ge=0)] = 150
    strata: Annotated[int, Field(ge=2, le=20)] = 4


class Sampling(Section):
    """How new tokens are chosen."""

    temperature: Annotated[float, Field(ge=0, le=2)] = 0.1
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    max_tokens: Annotated[int, Field(ge=1, le=100_000)] = 256
    seed: int = 0


class AnnotatorSettings(Section):
    """Who scores the sample, how, and how much of it."""

    scoring: Scoring = "likelihood"
    # a rubric wants a model that can follow it; the embedded one can only be asked by likelihood
    model: str = Field(default_factory=lambda given: SMALL if given.get("scoring") == "likelihood" else FIELD)
    revision: Annotated[str, Field(max_length=200)] = ""
    sampling: Sampling = Sampling()
    likelihood: Likelihood | None = None
    score_token: ScoreToken = ScoreToken()
    sample: Count = 4000
    documents: Count = 450
    second_round: SecondRound = SecondRound()
    cascade: Cascade | None = None  # who ranks the sample for the second round; None: a pilot encoder
    read_characters: Annotated[int, Field(ge=50, le=100_000)] = 500  # by encoder and annotator alike
    reading: Part = "head"  # the beginning, or beginning, middle and end
    gates: Gates = Gates()
    report: Report = Report()
    budget: Budget | None = None

    @model_validator(mode="after")
    def _sample_is_large_enough(self) -> Self:
        if self.documents + self.second_round.documents > self.sample:
            raise ValueError("documents and second_round.documents together exceed sample; raise sample")
        return self

    @model_validator(mode="after")
    def _cascade_has_a_second_round(self) -> Self:
        if self.cascade is not None and not self.second_round.documents:
            raise ValueError("a cascade ranks documents for the second round; raise second_round.documents above 0")
        return self

    def asked(self) -> dict[str, Any]:
        """What an answer depends on, as JSON: no size of a sample, no threshold, no section of another way to score."""
        own = {self.scoring} & {"likelihood", "score_token"}
        return self.model_dump(
            mode="json", include={"model", "revision", "scoring", "sampling", "read_characters", "reading", *own}
        )
