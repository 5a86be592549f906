"""A prompt file: what a researcher writes, checked on entry.

`prompts/<slug>.yaml` holds a rubric and, each with a default, how to annotate, encode, keep, train and compare by it.
A bad file gets a `PromptError` that names the file, the field, the value and the mend.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from datashop_assets.prompt_errors import Problem, PromptError, problems_of
from datashop_assets.prompt_yaml import read_yaml

EXAMPLE = "{example}"
SLUG = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
SUBJECTS = (
    "mathematics", "history", "biology", "computers", "geography", "politics",
    "literature", "physics", "religion", "art", "software", "law",
)  # fmt: skip

Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, str_max_length=100_000)


class Data(Section):
    """Where documents come from: a preset's name, a URI or a glob, with the names of its fields."""

    uri: str = "embedded"
    text_field: str = "text"
    id_field: str = "id"
    source_field: str = "source"


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

    @model_validator(mode="after")
    def _targets_are_options(self) -> Self:
        if stray := [target for target in self.targets if target not in self.options]:
            raise ValueError(f"targets {stray} are not among the options; add them to options")
        if len(set(self.options)) < 2 or len(set(self.options)) < len(self.options):
            raise ValueError("options must be two or more different words; remove repetitions")
        if set(self.targets) == set(self.options):
            raise ValueError("every option is a target; leave at least one option that is none")
        return self


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


class Processor(Section):
    """How a written reply becomes a score: a known name, or `package.module:Class`. Not used by likelihood."""

    type: str = "finalscore0-5"
    options: dict[str, Any] = {}

    @field_validator("type")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name in ("finalscore0-5", "medu") or re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", name):
            return name
        raise ValueError("unknown processor; use finalscore0-5, medu, or the import path package.module:Class")


class Labels(Section):
    """How scores become training labels."""

    positive_from: Annotated[float, Field(gt=0, le=5)] = 2.5
    balance: bool = True


class EncoderSettings(Section):
    """The small model that learns the scores."""

    kind: Literal["fasttext"] = "fasttext"
    dimensions: Annotated[int, Field(ge=2, le=1000)] = 16  # 4 and 64 reach the same AUC
    epochs: Annotated[int, Field(ge=1, le=1000)] = 5  # more where labels are few: models/fasttext.py
    learning_rate: Annotated[float, Field(gt=0, le=5)] = 0.5
    min_subword: Annotated[int, Field(ge=0, le=10)] = 3
    max_subword: Annotated[int, Field(ge=0, le=10)] = 5
    buckets: Annotated[int, Field(ge=1, le=10_000_000)] = 50_000

    @model_validator(mode="after")
    def _subwords_are_ordered(self) -> Self:
        if self.min_subword > self.max_subword:
            raise ValueError("min_subword exceeds max_subword; swap them, or set both to 0 for whole words only")
        return self


class Keep(Section):
    """Which scored documents to keep: a fraction of documents or of tokens, or all from a score upward."""

    fraction: Share | None = None
    of: Literal["documents", "tokens"] = "documents"
    threshold: Annotated[float, Field(ge=0, le=1)] | None = None

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        if (self.fraction is None) == (self.threshold is None):
            raise ValueError("give exactly one of fraction and threshold")
        return self


class Training(Section):
    """The language models: a candidate on the kept documents beside a control without them."""

    depth: Annotated[int, Field(ge=1, le=48)] = 2
    vocabulary: Annotated[int, Field(ge=300, le=200_000)] = 1024
    length: Annotated[int, Field(ge=16, le=131_072)] = 128
    batch: Count = 8
    steps: Count = 200
    seeds: Annotated[int, Field(ge=1, le=100)] = 5
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.006
    warmup_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.1
    filtered_share: Share = 0.3


class Evaluation(Section):
    """What the comparison is measured on: documents named here, else gold labels, else the annotator's labels."""

    targets: Data | None = None
    gold: tuple[str, ...] = ()
    target_documents: Count = 300
    general_documents: Count = 300


class Prompt(Section):
    """One prompt, every default filled in. `slug` is the file's name without its ending."""

    slug: str
    name: Annotated[str, Field(min_length=1, max_length=200)]
    about: Annotated[str, Field(max_length=2000)] = ""
    automatic: bool = True
    rubric: str
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
    def _rubric_holds_example(cls, rubric: str) -> str:
        return holds_example_once(rubric)

    @field_validator("pretraining_pool", "annotation_sample", mode="before")
    @classmethod
    def _uri_alone(cls, value: Any) -> Any:
        return {"uri": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _likelihood_is_asked(self) -> Self:
        if self.annotator.scoring == "likelihood" and self.annotator.likelihood is None:
            raise ValueError("annotator.likelihood is missing; give question, answer_begins and targets")
        return self


def checked_slug(slug: str) -> str:
    """`slug`, if it may become a partition key and part of a path."""
    if not SLUG.fullmatch(slug):
        raise ValueError("a slug is 1 to 63 of a-z, 0-9 and '-', neither first nor last; rename the file")
    return slug


def holds_example_once(text: str) -> str:
    """`text`, if `{example}` stands in it exactly once. All other braces are just text."""
    if (count := text.count(EXAMPLE)) != 1:
        raise ValueError(f"holds {EXAMPLE} {count} times; put it exactly once, where the document goes")
    return text


def fill(template: str, text: str) -> str:
    """The template with the document in place of `{example}`, both taken literally."""
    before, after = template.split(EXAMPLE)
    return before + text + after


def load_prompt(path: Path) -> Prompt:
    """Reads and checks one file. Raises `PromptError` with every problem found."""
    return parse_prompt(read_yaml(path), path.stem, str(path))


def parse_prompt(fields: Any, slug: str, file: str) -> Prompt:
    """Checks fields that were read from `file`. Raises `PromptError`."""
    if not isinstance(fields, dict):
        raise PromptError(file, [Problem("", fields, "a prompt file is a mapping of fields; begin with `name: ...`")])
    if "slug" in fields:
        raise PromptError(file, [Problem("slug", fields["slug"], "the file's name is the slug; remove the field")])
    try:
        return Prompt.model_validate_json(orjson.dumps({**fields, "slug": slug}))
    except ValidationError as error:
        raise PromptError(file, problems_of(error, Prompt)) from None
