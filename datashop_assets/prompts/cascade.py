"""The section `annotator.cascade`: a cheap first pass over the sample, for labels that are rare."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from datashop_assets.prompts.likelihood import Likelihood
from datashop_assets.prompts.score_token import ScoreToken
from datashop_assets.prompts.section import Section
from datashop_assets.prompts.template import holds_example_once


class Cascade(Section):
    """Who ranks the sample before the second round is drawn: a short prompt, a likelihood question, or an encoder.

    The first round stays a random draw. The second is drawn at random within strata of the first pass's score, in
    place of the pilot's; `second_round.strata` says how sharply: with s strata the highest-ranked 1/2^(s-1) of the
    documents get 1/s of its draws.
    """

    prompt: Annotated[str, Field(min_length=1)] | None = None
    scoring: Literal["score_token", "generate"] = "score_token"  # of `prompt`; generate ends in `Final score: N`
    likelihood: Likelihood | None = None
    encoder: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = None  # plan digest of a finished encoder stage
    model: str | None = None  # None: the annotator's
    read_characters: Annotated[int, Field(ge=50, le=100_000)] = 500
    max_tokens: Annotated[int, Field(ge=1, le=1000)] = 64  # of a written reply

    @field_validator("prompt")
    @classmethod
    def _holds_example(cls, prompt: str | None) -> str | None:
        return None if prompt is None else holds_example_once(prompt)

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if sum(way is not None for way in (self.prompt, self.likelihood, self.encoder)) != 1:
            raise ValueError("a cascade ranks in one way; give exactly one of prompt, likelihood and encoder")
        return self

    def config(self, model: str) -> dict[str, Any]:
        """All that the ranking depends on; `asked` is in the form of `AnnotatorSettings.asked`."""
        if self.encoder is not None:
            return {"encoder": self.encoder}
        scoring = "likelihood" if self.likelihood else self.scoring
        own: Section = self.likelihood or ScoreToken()
        asked: dict[str, Any] = {
            "model": self.model or model,
            "revision": "",
            "scoring": scoring,
            "sampling": {"temperature": 0.0, "top_p": 1.0, "max_tokens": self.max_tokens, "seed": 0},
            "read_characters": self.read_characters,
            "reading": "head",
        }
        if scoring != "generate":
            asked[scoring] = own.model_dump(mode="json")
        return {"asked": asked, "prompt": self.prompt or ""}
