"""The section `annotator.likelihood`."""

from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from datashop_assets.prompts.section import Section
from datashop_assets.prompts.template import holds_example_once, holds_no_example

SUBJECTS = (
    "mathematics", "history", "biology", "computers", "geography", "politics",
    "literature", "physics", "religion", "art", "software", "law",
)  # fmt: skip


class Likelihood(Section):
    """A question for annotators too small to follow a rubric: the probability of the target among the options."""

    question: str
    answer_begins: str
    options: tuple[str, ...] = SUBJECTS
    targets: Annotated[tuple[str, ...], Field(min_length=1)]

    @field_validator("question")
    @classmethod
    def _holds_example(cls, question: str) -> str:
        return holds_example_once(question)

    @field_validator("answer_begins")
    @classmethod
    def _holds_no_example(cls, answer_begins: str) -> str:
        return holds_no_example(answer_begins)

    @model_validator(mode="after")
    def _targets_are_options(self) -> Self:
        if any(not option.strip() for option in self.options):
            raise ValueError("an option is empty; give it a word, or remove it")
        if stray := [target for target in self.targets if target not in self.options]:
            raise ValueError(f"targets {stray} are not among the options; add them to options")
        if len(set(self.options)) < 2 or len(set(self.options)) < len(self.options):
            raise ValueError("options must be two or more different words; remove repetitions")
        if set(self.targets) == set(self.options):
            raise ValueError("every option is a target; leave at least one option that is none")
        return self
