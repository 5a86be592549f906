"""A step of the graph, declared once.

A declaration holds everything that an entry point needs: name, inputs, configuration, result, code version, resources,
checks, group, kinds and description. Dagster's assets, the plan, the CLI, the Python API and the data card are made
from it. Declarations are light: what a build needs (jax, polars, …) is imported when it runs.

    class TrainingSetConfig(StepConfig):
        positive_from: float

    class TrainingSetResult(StepResult):
        step: ClassVar[str] = "training_set"
        documents: int

    @step(result=TrainingSetResult, inputs=(AnnotationsResult,), configure=configure, version="1", group="annotations")
    def training_set(run: StepRun[TrainingSetConfig]) -> TrainingSetResult:
        \"\"\"The labels the encoder learns from, with weights and folds.\"\"\"

Steps refer to each other by result type alone, so that a step's module imports no other step.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Final, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from datashop_assets.asking.spending import NO_LIMITS, SpendingLimits
from datashop_assets.asking.usage import TokensSpent
from datashop_assets.markdown import Sample
from datashop_assets.prompts.prompt import Prompt
from datashop_assets.protocols.annotator import Annotator
from datashop_assets.protocols.compute import Compute
from datashop_assets.protocols.encoder import TextScorer
from datashop_assets.protocols.progress import Progress, SilentProgress
from datashop_assets.protocols.trainer import Trainer
from datashop_assets.storage.folders import Folder
from datashop_assets.storage.manifest import MANIFEST, Manifest
from datashop_assets.storage.stage_folder import StageFolder, problems
from datashop_assets.storage.stage_writer import StageWriter

ResourceKey = Literal["annotator", "trainer", "compute", "prices"]
EVERY_STEP_BEFORE: Final = "every step before"  # the inputs of a step that reads all that the graph has before it


class StepConfig(BaseModel):
    """The part of a prompt that a step's rows depend on. Its JSON is part of the step's plan digest."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class StepResult(BaseModel):
    """What a finished step says beside its files: later steps, the card and the UI read it by name and type."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    step: ClassVar[str]  # the name of the step that gives it
    # what a person asks first of a finished step: names of fields, nested ones joined by a dot
    headlines: ClassVar[tuple[str, ...]] = ()
    volatile: ClassVar[frozenset[str]] = frozenset()  # fields of one run or machine, not of what is made: times, paces

    def tokens_spent(self) -> int | None:
        """Tokens that a model read and wrote, or was trained on, to make it; None where none did."""
        return None

    def seconds_of_all_runs(self) -> float | None:
        """Of a step that several runs may make together; None where the last run's own time says it all."""
        return None


class AnsweredBy(BaseModel):
    """The model whose answers an output holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    model: str  # in full
    revision: str  # empty where the annotator knows none
    pinned: bool  # the prompt names the revision: what another annotator has now is of no concern


class AskingResult(StepResult):
    """The result of a step that may ask an annotator."""

    volatile: ClassVar[frozenset[str]] = frozenset({"spent"})
    spent: TokensSpent | None = None  # None where nobody was asked, or in what was made before it was recorded

    def tokens_spent(self) -> int | None:
        return None if self.spent is None else self.spent.total


class AnnotatorResult(AskingResult):
    """The result of a step that is made again where the annotator is another, or calls failed: the plan reads it."""

    answered_by: AnsweredBy | None = None  # None where nobody was asked
    failed_calls: int = 0  # documents that a further run of the step asks about again


ConfigT = TypeVar("ConfigT", bound=StepConfig)
ResultT = TypeVar("ResultT", bound=StepResult)
ResultT_co = TypeVar("ResultT_co", bound=StepResult, covariant=True)
OtherT = TypeVar("OtherT", bound=StepResult)


@dataclass(frozen=True)
class StepOutput(StageFolder, Generic[ResultT_co]):
    """A finished step: its result, its manifest and its files, each file checked before it is read."""

    result_type: type[ResultT_co]

    @property
    def result(self) -> ResultT_co:
        """Raises `DamagedStageError` where the manifest holds another kind of result."""
        try:
            return self.result_type.model_validate(self.manifest.metrics)
        except ValidationError as error:
            wrong = problems(error)
            raise self.damaged(
                f"the metrics in {self.uri}/{MANIFEST} are no {self.result_type.__name__}: {wrong}"
            ) from error


@dataclass(frozen=True)
class Resources:
    """What a build may use beside its inputs, each an implementation of a protocol."""

    annotator: Annotator | None = None
    trainer: Trainer | None = None
    compute: Compute | None = None
    prices: Path | None = None  # the file of the price table; None: the one that comes with Datashop
    progress: Progress = field(default_factory=SilentProgress)


@dataclass(frozen=True)
class Input:
    """An input; `needed` says which prompts have it."""

    result: type[StepResult]
    needed: Callable[[Prompt], bool] = lambda _: True


def _no_scorer(digest: str) -> TextScorer:
    raise LookupError(f"no finished encoder {digest}")


@dataclass(frozen=True)
class StepRun(Generic[ConfigT]):
    """All that a build sees. What it depends on is in the plan digest; what is not in the digest is not here."""

    config: ConfigT
    inputs: "Mapping[str, StepOutput[Any]]"  # by step name
    output: StageWriter
    resources: Resources
    cache: Path  # a folder of this machine that all steps share, for what can be made again
    data: Path  # the folder of the data packages
    answers: Folder  # what annotators answered, by question; it outlives every step
    prompt_folder: Folder  # what is kept beside the prompt, such as its last estimate; no row depends on it
    limits: SpendingLimits = NO_LIMITS  # what the answers may cost; no row depends on it
    scorer: Callable[[str], TextScorer] = _no_scorer  # the finished encoder of this digest, of whichever prompt
    descriptions: "Callable[[StepOutput[Any]], Mapping[str, str]]" = lambda _: {}
    checks: "Callable[[str], Mapping[str, CheckResult]]" = (
        lambda _: {}
    )  # of an input, by its name; no row depends on it

    @property
    def annotator(self) -> Annotator:
        """The annotator at hand. Raises `ValueError` where there is none."""
        if self.resources.annotator is None:
            raise ValueError("the questions of this step need an annotator; give one in Resources(annotator=...)")
        return self.resources.annotator

    def input(self, result: type[ResultT]) -> StepOutput[ResultT]:
        """The output of an input. Raises `KeyError` where the prompt's settings make it no input."""
        return self.inputs[result.step]

    def optional_input(self, result: type[ResultT]) -> StepOutput[ResultT] | None:
        """The same, or None where the prompt's settings make it no input."""
        return self.inputs.get(result.step)


class CheckResult(BaseModel):
    """What a check says of one output."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    passed: bool
    description: str
    blocks: bool = False  # whether a failure stops everything downstream for this prompt
    severity: Literal["warning", "error"] = "warning"
    figures: dict[str, JsonValue] = {}
    sample: Sample | None = None  # rows that made it fail
    waived: str = ""  # why the prompt lets it pass; it then stops nothing

    @property
    def stops(self) -> bool:
        """Whether nothing may be made from the output."""
        return self.blocks and not self.passed and not self.waived


@dataclass(frozen=True)
class CheckContext(Generic[ResultT]):
    """What a check sees: the output, the prompt, and outputs that it names in `reads`, where they are finished."""

    prompt: Prompt
    output: StepOutput[ResultT]
    others: Mapping[str, StepOutput[Any]]

    def read(self, result: type[OtherT]) -> StepOutput[OtherT] | None:
        """One of the outputs that the check names in `reads`; None where it is not finished."""
        return self.others.get(result.step)

    def required(self, result: type[OtherT]) -> StepOutput[OtherT]:
        """The same. Raises `KeyError` where it is not finished: what an output is made from always is."""
        return self.others[result.step]


@dataclass(frozen=True)
class Check(Generic[ResultT]):
    """A check of a step's output. `settings` is the part of the prompt that its verdict depends on."""

    name: str
    description: str
    evaluate: Callable[[CheckContext[ResultT]], CheckResult]
    blocking: bool = False  # whether it may stop what is downstream; each result says whether it does
    settings: Callable[[Prompt], Any] = lambda _: None
    reads: tuple[type[StepResult] | Input, ...] = ()  # an `Input` for what it reads of some prompts alone

    def reads_of(self, prompt: Prompt) -> tuple[str, ...]:
        """Names of the steps whose outputs this prompt's check reads."""
        return tuple(one.result.step for one in map(_input, self.reads) if one.needed(prompt))


@dataclass(frozen=True)
class Placement:
    """Where a step does its work: the cluster that its tag names, and the pool that counts how many may do so at once.

    One graph spans two clusters, because vLLM and the trainer need different versions of `libtpu`. In the `local`
    profile both are this machine. A pool's limit is the deployment's (`pools.default_limit` of dagster.yaml).
    """

    cluster: Literal["", "annotation", "training"] = ""
    pool: str | None = None


ANYWHERE = Placement()
ON_ANNOTATOR = Placement("annotation", "annotator")
ON_TRAINER = Placement("training", "tpu")
ON_SHARDS = Placement("training")  # processors of the training cluster: any number of steps


@dataclass(frozen=True, kw_only=True)
class Step(Generic[ConfigT, ResultT]):
    """A declaration. `configure` gives None for a prompt that does not ask for the step: it is then in no plan."""

    name: str
    description: str
    version: str
    result: type[ResultT]
    inputs: tuple[Input, ...]  # of a step that reads every one before it, as the graph gives them
    reads_every_step: bool
    configure: Callable[[Prompt], ConfigT | None]
    build: Callable[[StepRun[ConfigT]], ResultT]
    group: str
    kinds: frozenset[str]
    resources: frozenset[ResourceKey]
    placement: Placement
    checks: tuple[Check[ResultT], ...]
    describe: Callable[[StepOutput[ResultT]], Mapping[str, str]]  # title -> Markdown, for the UI
    limits: Callable[[Prompt, Path | None], SpendingLimits]  # by the price table's file
    asks: Callable[[ConfigT], bool]  # whether the annotator is asked, where it is among the resources
    load_scorer: Callable[[StepOutput[ResultT]], TextScorer] | None  # of a step that trains an encoder

    def placed_after(self, steps: "Iterable[Step[Any, Any]]") -> "Step[ConfigT, ResultT]":
        """The same; if it reads every step before it, with these as its inputs."""
        return replace(self, inputs=tuple(Input(one.result) for one in steps)) if self.reads_every_step else self

    def inputs_of(self, prompt: Prompt) -> tuple[str, ...]:
        """Names of the steps that this prompt's settings make inputs."""
        return tuple(one.result.step for one in self.inputs if one.needed(prompt))

    def output(self, folder: Folder, manifest: Manifest | None = None) -> StepOutput[ResultT]:
        """What a folder holds; `manifest`, where it was read already."""
        return StepOutput(folder, self.result, known=manifest)


def _input(one: type[StepResult] | Input) -> Input:
    return one if isinstance(one, Input) else Input(one)


def config_json(config: object) -> dict[str, Any]:
    """A configuration as it goes into the plan digest and the manifest."""
    if isinstance(config, StepConfig):
        return config.model_dump(mode="json")
    raise TypeError(f"{config!r} is not a step's configuration: make it a StepConfig")


def step(
    *,
    result: type[ResultT],
    inputs: Iterable[type[StepResult] | Input] | Literal["every step before"] = (),
    configure: Callable[[Prompt], ConfigT | None],
    version: str,
    group: str,
    kinds: Iterable[str] = (),
    resources: Iterable[ResourceKey] = (),
    placement: Placement = ANYWHERE,
    checks: Iterable[Check[ResultT]] = (),
    describe: Callable[[StepOutput[ResultT]], Mapping[str, str]] = lambda _: {},
    limits: Callable[[Prompt, Path | None], SpendingLimits] = lambda _, __: NO_LIMITS,
    asks: Callable[[ConfigT], bool] = lambda _: True,
    load_scorer: Callable[[StepOutput[ResultT]], TextScorer] | None = None,
) -> Callable[[Callable[[StepRun[ConfigT]], ResultT]], Step[ConfigT, ResultT]]:
    """Makes the decorated function, which builds the step, its declaration. The docstring is what lineage shows.

    With `EVERY_STEP_BEFORE` for inputs, a step that is new in the graph is an input too.
    """

    def declare(build: Callable[[StepRun[ConfigT]], ResultT]) -> Step[ConfigT, ResultT]:
        return Step(
            name=result.step,
            description=inspect.cleandoc(build.__doc__ or ""),
            version=version,
            result=result,
            inputs=() if isinstance(inputs, str) else tuple(map(_input, inputs)),
            reads_every_step=isinstance(inputs, str),
            configure=configure,
            build=build,
            group=group,
            kinds=frozenset(kinds),
            resources=frozenset(resources),
            placement=placement,
            checks=tuple(checks),
            describe=describe,
            limits=limits,
            asks=asks,
            load_scorer=load_scorer,
        )

    return declare
