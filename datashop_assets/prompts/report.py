"""The section `annotator.report`: what the annotator is held against."""

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from datashop_assets.prompts.likelihood import Likelihood
from datashop_assets.prompts.section import Scoring, Section


class SecondAnnotator(Section):
    """Another opinion on documents that are annotated already: another model, another question, or both.

    What is not given is as in the section `annotator`.
    """

    model: str | None = None
    revision: str = ""
    scoring: Scoring | None = None
    likelihood: Likelihood | None = None
    documents: Annotated[int, Field(ge=10, le=100_000)] = 100

    @model_validator(mode="after")
    def _differs(self) -> Self:
        if self.model is None and self.scoring is None and self.likelihood is None:
            raise ValueError("a second annotator differs in model, scoring or likelihood; give at least one")
        return self


class Report(Section):
    """How much of the annotated sample is asked again, with another seed (and order of options), and by whom else.

    `again` is a number of documents; null: 50, and none by likelihood, whose answers are the same every time.
    """

    again: Annotated[int, Field(ge=0, le=100_000)] | None = None
    seed: int = 1  # of the second asking
    second: SecondAnnotator | None = None

    def repeated(self, scoring: str) -> int:
        return self.again if self.again is not None else 0 if scoring == "likelihood" else 50

    def second_asked(self, asked: dict[str, Any]) -> dict[str, Any] | None:
        """The second annotator's question, in the form of `AnnotatorSettings.asked`."""
        if self.second is None:
            return None
        given = self.second.model_dump(mode="json", include={"model", "scoring", "likelihood"}, exclude_none=True)
        return {**asked, **given, "revision": self.second.revision}
