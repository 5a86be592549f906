"""A prompt file: what a researcher writes, checked on entry.

`prompts/<slug>.yaml` holds a rubric, or documents to write one from, and, each with a default, how to annotate, encode,
keep, train and compare by it.
A bad file gets a `PromptError` that names the file, the field, the value and the mend.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Self

import orjson
from pydantic import Field, ValidationError, field_validator, model_validator

from datashop_assets.prompts.annotator import AnnotatorSettings
from datashop_assets.prompts.data import Data
from datashop_assets.prompts.encoder import EncoderSettings
from datashop_assets.prompts.errors import Problem, PromptError, in_utf8, problems_of
from datashop_assets.prompts.evaluation import Evaluation
from datashop_assets.prompts.keep import Keep
from datashop_assets.prompts.labels import Labels
from datashop_assets.prompts.processor import Processor
from datashop_assets.prompts.reading import not_plain, read_yaml
from datashop_assets.prompts.section import Section
from datashop_assets.prompts.targets import Targets, Writing, with_targets
from datashop_assets.prompts.template import holds_example_once
from datashop_assets.prompts.training import Training

SLUG = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


class Prompt(Section):
    """One prompt, every default filled in. `slug` is the file's name without its ending."""

    slug: str
    name: Annotated[str, Field(min_length=1, max_length=200)]
    about: Annotated[str, Field(max_length=2000)] = ""
    automatic: bool = True
    rubric: str | None = None
    targets: Targets | None = None
    writing: Writing = Writing()
    pretraining_pool: Data = Data()
    annotation_sample: Data = Data()
    heldout_fraction: Annotated[float, Field(gt=0, le=0.5)] = 0.3
    annotator: AnnotatorSettings = AnnotatorSettings()
    processor: Processor = Processor()
    labels: Labels = Labels()
    encoder: EncoderSettings = EncoderSettings()
    keep: Keep = Keep(fraction=0.1)
    training: Training = Training()
    evaluation: Evaluation = Evaluation()

    @field_validator("slug")
    @classmethod
    def _is_slug(cls, slug: str) -> str:
        return checked_slug(slug)

    @field_validator("rubric")
    @classmethod
    def _rubric_holds_example(cls, rubric: str | None) -> str | None:
        return None if rubric is None else holds_example_once(rubric)

    @field_validator("pretraining_pool", "annotation_sample", mode="before")
    @classmethod
    def _uri_alone(cls, value: Any) -> Any:
        return {"uri": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_rubric(self) -> Self:
        if self.rubric is None and self.targets is None:
            raise ValueError("rubric is missing; add it, or documents to write it from as `targets`")
        if self.rubric is not None and self.targets is not None:
            raise ValueError("rubric and targets are both given; remove one")
        return self

    @model_validator(mode="after")
    def _likelihood_is_asked(self) -> Self:
        if self.annotator.scoring == "likelihood" and self.annotator.likelihood is None:
            raise ValueError("annotator.likelihood is missing; give question, answer_begins and targets")
        return self

    @model_validator(mode="after")
    def _primary_is_measured(self) -> Self:
        if self.evaluation.primary.against == "matched" and not self.training.matched_control:
            raise ValueError("evaluation.primary.against is matched, and training.matched_control is false; change one")
        return self


def checked_slug(slug: str) -> str:
    """`slug`, if it may become a partition key and part of a path."""
    if not SLUG.fullmatch(slug):
        raise ValueError("a slug is 1 to 63 of a-z, 0-9 and '-', neither first nor last; choose another name")
    return slug


def load_prompt(path: Path) -> Prompt:
    """Reads and checks one file. Raises `PromptError` with every problem found."""
    return parse_prompt(read_yaml(path), in_utf8(path.stem), str(path))


def parse_prompt(fields: Any, slug: str, file: str) -> Prompt:
    """Checks fields that were read from `file`. Raises `PromptError`."""
    if not isinstance(fields, dict):
        raise PromptError(file, [Problem("", fields, "a prompt file is a mapping of fields; begin with `name: ...`")])
    if "slug" in fields:
        raise PromptError(file, [Problem("slug", fields["slug"], "the file's name is the slug; remove the field")])
    if problems := list(not_plain(fields)):
        raise PromptError(file, problems)
    try:
        return Prompt.model_validate_json(orjson.dumps({**with_targets(fields), "slug": slug}))
    except ValidationError as error:
        raise PromptError(file, problems_of(error, Prompt)) from None
