"""The sections of a prompt file beside `annotator` and `encoder`, in the order in which the graph reads them.

Data and targets, how a rubric is written and a reply is read, labels, the language models that are compared, and what
the comparison is measured on. Which documents to keep stands in `keep_settings`.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from datashop_assets.asking.processors import KNOWN, processor, version_of
from datashop_assets.asking.replies import ProcessorConfig
from datashop_assets.datasets import fields_of_preset
from datashop_assets.prompts.annotator_settings import SamplingSettings
from datashop_assets.prompts.section import Address, Characters, Count, Section, Share

OnUnreadable = Literal["stop", "skip"]
TrainOn = Literal["scores", "cut"]


class Data(Section):
    """Where documents come from: a preset's name, a URI or a glob, with the names of its fields.

    A preset brings the names of its own fields; those that are given replace them. A field is a name or a path:
    `metadata.url`, `messages.0.content`, and `messages.*.content` for the texts of all turns, a blank line between.
    `on_unreadable` says what a file does that cannot be read as a whole: stop the run, or be skipped and counted.
    """

    uri: Address = "embedded"
    text_field: str = "text"
    id_field: str = "id"
    source_field: str = "source"
    on_unreadable: OnUnreadable = "stop"

    @model_serializer(mode="wrap")
    def _without_the_usual(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Stopping, which is what is usual, is not written: what was made from these documents stays current."""
        written = serialize(self)
        return {name: value for name, value in written.items() if (name, value) != ("on_unreadable", "stop")}

    @model_validator(mode="before")
    @classmethod
    def _fields_of_the_preset(cls, given: Any) -> Any:
        if isinstance(given, dict) and isinstance(given.get("uri"), str):
            return {**fields_of_preset(given["uri"]), **given}
        return given


class TargetSet(Data):
    """Documents from which the annotator writes the rubric (MEDU): texts, or `documents` rows of a file at random."""

    # a list counts as a tuple: after the validator of `Data`, what was JSON is Python, where strict types differ
    texts: tuple[Annotated[str, Field(min_length=1)], ...] = Field(default=(), max_length=1000, strict=False)
    uri: Address = ""
    documents: Annotated[int, Field(ge=1, le=1000)] = 16

    @model_validator(mode="after")
    def _texts_or_a_file(self) -> Self:
        if bool(self.texts) == bool(self.uri):
            raise ValueError("a set of targets is a list of texts or has a `uri`; give exactly one")
        return self


Targets = Annotated[
    dict[Annotated[str, Field(min_length=1, max_length=100)], TargetSet], Field(min_length=1, max_length=20)
]


class Writing(Section):
    """How a rubric is written. The annotator of the section `annotator` writes it."""

    sampling: SamplingSettings = SamplingSettings(temperature=0.0, max_tokens=300)  # of each description
    read_characters: Characters = 8000  # of each document
    characters: Annotated[int, Field(ge=200, le=50_000)] = 6000  # of all descriptions in the rubric, shared equally
    seed: int = 0  # of the order in which descriptions are merged
    described: Annotated[float, Field(gt=0, le=1)] = 0.9  # least share of a set's documents that has a description
    attempts: Count = 3  # at a call that fails


class ProcessorSettings(Section):
    """How a written reply becomes a score: a known name, or `package.module:Class`. Used by `generate` alone.

    The class is imported and tried when the file is read, so that what is wrong with it is an error of the file; see
    `protocols.processor`.
    """

    type: str = "finalscore0-5"
    options: dict[str, JsonValue] = Field(default_factory=dict)

    @field_validator("type")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name in KNOWN or re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", name):
            return name
        raise ValueError("unknown processor; use finalscore0-5, medu, or the import path package.module:Class")

    @model_validator(mode="after")
    def _can_be_used(self) -> Self:
        processor(self.type, self.options)
        return self

    @property
    def processor_config(self) -> ProcessorConfig:
        """The processor and its version, which for a class of the user's is a digest of its source."""
        return ProcessorConfig(type=self.type, options=self.options, version=version_of(self.type))


class Labels(Section):
    """How scores become what an encoder learns.

    `train_on: scores` teaches the expected scores as they are. `cut` teaches which documents reach `positive_from`,
    and `balance` then repeats rare positives. Either way figures of precision and recall, and certificates, call a
    document positive from `positive_from` upward.
    """

    train_on: TrainOn = "scores"
    positive_from: Annotated[float, Field(gt=0, le=5)] = 2.5
    balance: bool = True


class BlindTest(Section):
    """How many pairs the annotator is shown of a kept document and one that is not, without being told which is which.

    Both are of one source and of similar length. 0 turns the test off.
    """

    pairs: Annotated[int, Field(ge=0, le=10_000)] = 50  # 0.9 right of 50 has an interval from 0.78 to 0.97


class Training(Section):
    """The language models: a candidate on the kept documents beside a control without them.

    From scratch, `depth` is the one dial for size, and `steps: optimal` gives 20 tokens a weight (Hoffmann et al.,
    2022, arXiv:2203.15556). With `anneal_from` a checkpoint is trained on instead: its size, its tokenizer, and a
    learning rate that falls linearly to zero; `depth`, `vocabulary`, `query_group` and `tied` then have no say.
    """

    depth: Annotated[int, Field(ge=1, le=80)] = 2
    vocabulary: Annotated[int, Field(ge=300, le=200_000)] = 1024
    query_group: Count = 1  # query heads that share a key head
    tied: bool = True  # one matrix for reading and for predicting tokens
    # a Hugging Face folder, or smollm2-135m-instruct
    anneal_from: Annotated[Address, Field(min_length=1)] | None = None
    length: Annotated[int, Field(ge=16, le=131_072)] = 128
    batch: Count = 8
    steps: Count | Literal["optimal"] = 100
    seeds: Annotated[int, Field(ge=1, le=100)] = 10
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.002  # by what a comparison can see, not by the lowest loss
    warmup_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.1
    filtered_share: Share = 0.3
    max_epochs: Annotated[float, Field(gt=0, le=100)] = 4.0  # over the kept documents; more gains little
    matched_control: bool = True
    decontamination_words: Annotated[int, Field(ge=5, le=50)] = 13
    precision: Literal["float32", "bfloat16"] = "float32"  # of the arithmetic: weights at rest are float32
    recompute: Literal["nothing", "all but products", "layers"] = "nothing"  # in the backward pass, to save memory

    @model_validator(mode="after")
    def _steps_of_a_checkpoint(self) -> Self:
        if self.anneal_from is not None and self.steps == "optimal":
            raise ValueError("steps: optimal is for training from scratch; give a number beside anneal_from")
        return self


class Primary(Section):
    """The one measure that the verdict goes by. The other control is next; all others are corrected for being many."""

    documents: Literal["target", "general"] = "target"
    against: Literal["control", "matched"] = "control"


GateName = Literal[
    "coverage",
    "unparsed_share",
    "both_ends_used",
    "length_score_band",
    "longest_decile_kept",
    "spread_within_sources",
    "named_documents_readable",
    "pool_fully_scored",
    "keep_count_exact",
]
GATE_NAMES: tuple[str, ...] = get_args(GateName)


class Waivers(Section):
    """Gates that may fail for this prompt, each with the reason. It is shown wherever the gate is."""

    waive: dict[GateName, Annotated[str, Field(max_length=500)]] = Field(default_factory=dict)

    @field_validator("waive", mode="before")
    @classmethod
    def _gates_with_reasons(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            raise ValueError('write it as {coverage: "the reason"}')
        if unknown := [name for name in given if name not in GATE_NAMES]:
            raise ValueError(f"{unknown[0]!r} is no gate; the gates are {', '.join(GATE_NAMES)}")
        if bare := [name for name, reason in given.items() if not isinstance(reason, str) or not reason.strip()]:
            raise ValueError(f'{bare[0]} is waived without a reason; give one, as {{{bare[0]}: "the reason"}}')
        return given


class Evaluation(Section):
    """What the comparison is measured on: documents named here, else gold labels, else the annotator's labels.

    `benchmarks` are documents that the models will be tested on elsewhere: what overlaps with them is not trained on.
    `sensitivity` trains all models again at a third of the learning rate, and says where the verdicts differ.
    """

    targets: Data | None = None
    gold: tuple[str, ...] = ()
    benchmarks: tuple[Data, ...] = ()
    primary: Primary = Primary()
    target_documents: Count = 300
    general_documents: Count = 300
    sensitivity: bool = False

    @model_serializer(mode="wrap")
    def _without_the_usual(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """One rate, which is what is usual, is not written: cards that were made without the field stay current."""
        written = serialize(self)
        return {name: value for name, value in written.items() if (name, value) != ("sensitivity", False)}
