"""What the rubric depends on, what the step gives, and how later steps read its text."""

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from datashop_assets.core.step import AnnotatorResult, StepConfig, StepOutput
from datashop_assets.documents.sources import Fingerprint
from datashop_assets.prompts.settings import TargetSet, Writing

RUBRIC_FILE = "rubric.json"


class TargetsConfig(BaseModel):
    """One set of target documents. `fingerprint` tells that its file has changed; None for texts in the prompt file."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    documents: TargetSet
    fingerprint: Fingerprint | None


class WritingConfig(BaseModel):
    """All that a rubric depends on that is written from target documents."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    targets: dict[str, TargetsConfig]
    settings: Writing
    model: str
    revision: str  # empty: the annotator's own


class RubricConfig(StepConfig):
    """A rubric of the prompt file, or how one is written: exactly one of the two is given."""

    text: str | None
    written: WritingConfig | None = None


class Rubric(BaseModel):
    """What `rubric.json` holds. `text` has `{example}` where the document goes."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    text: str
    origin: Literal["given", "written"]
    sets: dict[str, str] | None = None  # set of target documents -> its description


class WritingResult(BaseModel):
    """What writing a rubric took, and which target documents are not in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    documents: dict[str, int]  # of each set
    rejected: dict[str, int]  # rows of a set's file that are no documents
    described: int  # documents
    left_out: list[str]  # documents without a description, with the reason
    calls: int
    by_ending: dict[str, int]  # calls
    cut: int  # texts of which less than all was read
    tokens_in: int
    tokens_out: int


class RubricResult(AnnotatorResult):
    step: ClassVar[str] = "rubric"
    characters: int
    origin: Literal["given", "written"]
    writing: WritingResult | None = None  # None where it is given
    tokens_in: int | None = None  # of the calls that wrote it
    tokens_out: int | None = None

    def tokens_spent(self) -> int | None:
        if self.spent is not None:
            return self.spent.total
        return (self.tokens_in or 0) + (self.tokens_out or 0) or None


def read_rubric(output: StepOutput[RubricResult]) -> Rubric:
    """The rubric that a finished step holds."""
    return Rubric.model_validate_json(output.file(RUBRIC_FILE).read_bytes())


def rubric_text(output: StepOutput[RubricResult] | None) -> str:
    """Its text; empty where the rubric is no input, because no question of the prompt shows it."""
    return "" if output is None else read_rubric(output).text
