"""The section `annotator.score_token`."""

from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from datashop_assets.prompts.section import Section
from datashop_assets.prompts.template import holds_no_example

DIGITS = {str(score): float(score) for score in range(6)}


class ScoreToken(Section):
    """The answer is one of these options and nothing else; each stands for a score from 0 to 5.

    `answer_begins` is what the assistant's turn begins with, where the annotator's server can do that.
    """

    options: dict[str, Annotated[float, Field(ge=0, le=5)]] = Field(default=DIGITS, min_length=2, max_length=26)
    answer_begins: str = ""

    @field_validator("answer_begins")
    @classmethod
    def _holds_no_example(cls, answer_begins: str) -> str:
        return holds_no_example(answer_begins)

    @model_validator(mode="after")
    def _options_differ(self) -> Self:
        if any(not option.strip() for option in self.options):
            raise ValueError("an option of score_token is empty; give it a word or a digit")
        if len(set(self.options.values())) < 2:
            raise ValueError("all options of score_token stand for the same score; give at least two")
        return self
