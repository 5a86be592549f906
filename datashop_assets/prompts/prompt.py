"""A prompt file: what a researcher writes, checked on entry.

`prompts/<slug>.yaml` holds a rubric, or documents to write one from, and, each with a default, how to annotate, encode,
keep, train and compare by it. A bad file gets a `PromptError` that names the file, the field, the value and the fix.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

import orjson
from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator

from datashop_assets.asking.labels import MEDU_SCORES
from datashop_assets.datasets import EMBEDDED, EMBEDDED_GOLD
from datashop_assets.prompts.annotator_settings import AnnotatorSettings, ScoringConfig
from datashop_assets.prompts.encoder_settings import EncoderSettings
from datashop_assets.prompts.keep_settings import Keep
from datashop_assets.prompts.parsing import (
    Problem,
    PromptError,
    first_problems,
    in_utf8,
    non_json_values,
    read_yaml,
    validation_problems,
)
from datashop_assets.prompts.section import Section
from datashop_assets.prompts.settings import (
    BlindTest,
    Data,
    Evaluation,
    Labels,
    ProcessorSettings,
    Targets,
    Training,
    Waivers,
    Writing,
)
from datashop_assets.prompts.template import Template

SLUG = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
ONLY_SET = "targets"  # the name of a set of targets that the file gives none


def checked_slug(slug: str) -> str:
    """`slug`, if it may become a partition key and part of a path."""
    if not SLUG.fullmatch(slug):
        raise ValueError("a slug is 1 to 63 of a-z, 0-9 and '-', with no '-' at either end; choose another name")
    return slug


class Prompt(Section):
    """One prompt, every default filled in. `slug` is the file's name without its ending."""

    slug: Annotated[str, AfterValidator(checked_slug)]
    name: Annotated[str, Field(min_length=1, max_length=200)]
    about: Annotated[str, Field(max_length=2000)] = ""
    automatic: bool = True
    rubric: Template | None = None
    targets: Targets | None = None
    writing: Writing = Writing()
    pretraining_pool: Data = Data()
    annotation_sample: Data = Data()
    heldout_fraction: Annotated[float, Field(gt=0, le=0.5)] = 0.3
    annotator: AnnotatorSettings = AnnotatorSettings()
    processor: ProcessorSettings = ProcessorSettings()
    labels: Labels = Labels()
    encoder: EncoderSettings = EncoderSettings()
    keep: Keep = Keep(fraction=0.1)
    blind_test: BlindTest = BlindTest()
    training: Training = Training()
    evaluation: Evaluation = Evaluation()
    gates: Waivers = Waivers()  # in no digest: a waiver makes nothing stale

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

    @model_validator(mode="after")
    def _gold_is_known(self) -> Self:
        gold, uri = self.evaluation.gold, self.pretraining_pool.uri
        if gold and uri != EMBEDDED:
            raise ValueError(
                f"evaluation.gold is {list(gold)}, and the pool {uri!r} has no gold labels, as only {EMBEDDED!r} has; "
                "name documents in evaluation.targets, or remove evaluation.gold"
            )
        if unknown := [label for label in gold if label not in EMBEDDED_GOLD]:
            raise ValueError(f"evaluation.gold {unknown} labels no document; use some of {', '.join(EMBEDDED_GOLD)}")
        return self

    @property
    def scoring_config(self) -> ScoringConfig:
        """How the annotator gives documents scores, all that it depends on."""
        question = self.annotator.question_config
        return ScoringConfig(question=question, parsing=question.parsing(self.processor.processor_config))


def load_prompt(path: Path) -> Prompt:
    """Reads and checks one file. Raises `PromptError` with every problem of the file."""
    return parse_prompt(read_yaml(path), in_utf8(path.stem), str(path))


def parse_prompt(fields: Any, slug: str, file: str) -> Prompt:
    """Checks fields that were read from `file`. Raises `PromptError`."""
    if not isinstance(fields, dict):
        raise PromptError(file, [Problem("", fields, "a prompt file is a mapping of fields; begin with `name: ...`")])
    if "slug" in fields:
        raise PromptError(file, [Problem("slug", fields["slug"], "the file's name is the slug; remove the field")])
    if problems := first_problems(non_json_values(fields)):
        raise PromptError(file, problems)
    try:
        return Prompt.model_validate_json(orjson.dumps({**_with_targets(fields), "slug": slug}))
    except ValidationError as error:
        raise PromptError(file, validation_problems(error, Prompt)) from None


def _with_targets(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a file with its targets as named sets, and the defaults that go with a written rubric.

    A list of texts is a set, and a list or a file alone is the only one. A written rubric asks for the words Great to
    Useless, so that processor and score_token read these where the file does not say.
    """
    if (targets := fields.get("targets")) is None:
        return fields
    if isinstance(targets, list) or (isinstance(targets, Mapping) and isinstance(targets.get("uri"), str)):
        targets = {ONLY_SET: targets}
    if isinstance(targets, Mapping):
        targets = {name: {"texts": one} if isinstance(one, list) else one for name, one in targets.items()}
    named = {"processor": {"type": "medu"}, **fields, "targets": targets}
    annotator = fields.get("annotator", {})
    if isinstance(annotator, Mapping) and "score_token" not in annotator:
        words = {word.capitalize(): float(score) for word, score in MEDU_SCORES.items()}
        named["annotator"] = {**annotator, "score_token": {"options": words}}
    return named
