"""The plan: for every step of a prompt, which folder holds its output, and what state that output is in.

It is the one truth that the CLI, the sensor, the assets and the Python API act on. Nothing is computed: a plan digest
follows from the prompt, the steps' code versions and the fingerprints of the sources. What an output was made from, and
what its checks said, stands in files beside it.

| state | meaning | what a run does |
|---|---|---|
| missing | never made for this prompt | makes it |
| stale | made, but the prompt, sources, code, an input or the annotator have changed, or it is gone | makes it again |
| incomplete | made and of use, but for documents whose calls failed | asks about those again |
| damaged | its manifest cannot be read | sets the folder aside, says so, and makes it again |
| blocked | a gate failed upstream, or before a step that is not there yet | leaves it out, and names the gate |
| current | what the prompt asks for now | nothing |
"""

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from pydantic import ConfigDict, ValidationError

from datashop_assets.core.checks import stopping, stored_results
from datashop_assets.core.step import (
    AnnotatorResult,
    AnsweredBy,
    CheckResult,
    ResultT,
    Step,
    StepConfig,
    StepOutput,
    config_json,
)
from datashop_assets.prompts.prompt import Prompt
from datashop_assets.protocols.annotator import ModelNames
from datashop_assets.storage.digests import digest_of
from datashop_assets.storage.folders import Folder
from datashop_assets.storage.manifest import MANIFEST, Manifest
from datashop_assets.storage.root import DAMAGED, Root
from datashop_assets.storage.stage_folder import DamagedStageError, problems, read_manifest

REVISION = "the annotator's revision"


class State(StrEnum):
    MISSING = "missing"
    STALE = "stale"
    INCOMPLETE = "incomplete"
    DAMAGED = "damaged"
    BLOCKED = "blocked"
    CURRENT = "current"


@dataclass(frozen=True)
class PlannedStep:
    """One step of one prompt: its plan digest, where its output belongs, and the state of that."""

    step: Step[Any, Any]
    inputs: tuple[str, ...]
    digest: str
    config: StepConfig
    folder: Folder
    state: State = State.MISSING
    reason: str = ""  # why it is stale, incomplete, damaged or blocked
    blocked_by: str = ""  # the step whose gate holds it back
    checks: Mapping[str, CheckResult] | None = None  # of its output; None where they were not evaluated as they are now
    changed: Mapping[str, str] = field(default_factory=dict)  # what is another now -> that: inputs' content, a revision
    failed_calls: int = 0
    manifest: Manifest | None = field(default=None, compare=False, repr=False)  # as it was read; None where none can be

    @property
    def asks(self) -> bool:
        """Whether the annotator is asked to make it."""
        return "annotator" in self.step.resources and self.step.asks(self.config)

    @property
    def usable(self) -> bool:
        """Whether its output is what the prompt asks for, so that other steps may be made from it."""
        return self.state in (State.CURRENT, State.INCOMPLETE)

    @property
    def fix(self) -> str:
        """What a person must do about it; empty where nobody has to look at it."""
        if self.state is State.DAMAGED:
            return f"run the prompt: it moves {self.folder.uri} to {DAMAGED}/ of the root and makes the stage again"
        if self.state is State.BLOCKED:
            return (
                "correct what the gate names, or its threshold in the prompt file, or waive it there with a reason "
                "(`gates.waive`), and run the prompt again"
            )
        return ""

    @property
    def to_check(self) -> bool:
        """Whether its output is there and a gate of it has not been judged, or not by the settings as they are now."""
        return self.usable and self.checks is None and any(check.blocking for check in self.step.checks)

    @property
    def output(self) -> StepOutput[Any]:
        return self.step.output(self.folder, self.manifest)


@dataclass(frozen=True)
class Graph:
    """Steps in the order in which data flows. Raises `ValueError` where an input is not declared before its reader.

    The order also says what a failed gate holds back: besides all that is downstream, whatever stands after it and is
    not there yet. So nothing is trained or paid for beside answers that are not fit to be used.

    A step that reads every step before it gets them as its inputs here.
    """

    steps: tuple[Step[Any, Any], ...]

    def __post_init__(self) -> None:
        steps = tuple(step.placed_after(self.steps[:place]) for place, step in enumerate(self.steps))
        object.__setattr__(self, "steps", steps)  # frozen for everybody else
        known: set[str] = set()
        for step in self.steps:
            if strangers := [one.result.step for one in step.inputs if one.result.step not in known]:
                raise ValueError(f"step {step.name} reads {strangers}, which is not declared before it; reorder them")
            known.add(step.name)

    def __iter__(self) -> Iterator[Step[Any, Any]]:
        return iter(self.steps)

    @property
    def names(self) -> list[str]:
        return [step.name for step in self.steps]

    def step(self, name: str) -> Step[Any, Any]:
        """Raises `ValueError` that lists the steps."""
        for step in self.steps:
            if step.name == name:
                return step
        raise ValueError(f"unknown step {name!r}; the steps are {', '.join(self.names)}")

    def up_to(self, name: str) -> list[str]:
        """A step and everything upstream of it, in the order of the graph. Raises `ValueError`."""
        wanted, queue = {name}, [self.step(name)]
        while queue:
            for one in queue.pop().inputs:
                if one.result.step not in wanted:
                    wanted.add(one.result.step)
                    queue.append(self.step(one.result.step))
        return [each for each in self.names if each in wanted]

    def nearest(self, names: Iterable[str]) -> list[str]:
        """Of these steps those that no other of them is made from: with all that is upstream of them, they are all."""
        names = list(names)
        upstream = {each for name in names for each in self.up_to(name) if each != name}
        return [name for name in names if name not in upstream]


class Plan(Mapping[str, PlannedStep]):
    """The steps that a prompt asks for, in the order of the graph. One plan serves a run: `look` looks again."""

    def __init__(
        self, steps: Mapping[str, PlannedStep], prompt: Prompt, root: Root, annotator: ModelNames | None
    ) -> None:
        self.steps, self.prompt, self.root, self.annotator = dict(steps), prompt, root, annotator

    def __getitem__(self, name: str) -> PlannedStep:
        return self.steps[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def output(self, result: type[ResultT]) -> StepOutput[ResultT]:
        """The output of the step that gives this result. Raises `KeyError` where the prompt does not ask for it."""
        return self[result.step].output

    @property
    def digest(self) -> str:
        """One digest for all steps: it changes when anything that would be computed does."""
        return digest_of({name: [planned.digest, planned.changed] for name, planned in self.items()})

    def to_do(self, names: Iterable[str] | None = None) -> list[str]:
        """The steps (of `names`) that a run would make, in the order of the graph.

        Those that are not current, those whose input may become another by that, and those whose gates are to be
        judged. What only a gate holds back is left out, unless what the gate judges will be made again.
        """
        wanted = set(self if names is None else names)
        found: list[str] = []
        changing: set[str] = set()
        for name, planned in self.items():
            again = bool(changing.intersection(planned.inputs))
            if planned.state is State.INCOMPLETE or planned.changed or again:
                changing.add(name)
            gate_may_pass = planned.state is State.BLOCKED and planned.blocked_by in found
            lacking = planned.state not in (State.CURRENT, State.BLOCKED)
            if again or lacking or gate_may_pass or planned.to_check:
                found.append(name)
        return [name for name in found if name in wanted]

    def blocked(self, names: Iterable[str] | None = None) -> dict[str, str]:
        """Step -> the gate that holds it back, of `names` or of all."""
        wanted = set(self if names is None else names)
        return {
            name: planned.reason for name, planned in self.items() if planned.state is State.BLOCKED and name in wanted
        }

    def upstream(self, name: str) -> list[str]:
        """All that a step is made from, however far, in the order of the graph."""
        wanted: set[str] = set()
        queue = [name]
        while queue:
            new = set(self[queue.pop()].inputs) - wanted
            wanted |= new
            queue += new
        return [each for each in self if each in wanted]

    def before(self, name: str) -> list[str]:
        """All steps that stand before this one in the graph: their gates come before it is made."""
        names = list(self)
        return names[: names.index(name)]

    def asks_after(self, name: str, names: Container[str]) -> bool:
        """Whether one of `names` that stands after this step in the graph asks the annotator."""
        order = list(self)
        return any(self[each].asks for each in order[order.index(name) + 1 :] if each in names)

    def look(self) -> "Look":
        """The steps as they stand now: they, or what they are made from, may have been made since the plan."""
        return Look(self)


class Look:
    """One look at the steps of a plan: each manifest that is asked for is read once."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._found: dict[str, tuple[Manifest | None, str]] = {}

    def __getitem__(self, name: str) -> PlannedStep:
        planned = self._plan[name]
        manifest, _ = found = self._manifest(name)
        inputs = () if manifest is None else manifest.inputs
        contents = {each: self._content(each) for each in inputs if each in self._plan}
        made = planned.state not in (State.MISSING, State.BLOCKED)
        return _with_state(planned, found, contents, self._plan.annotator, made)

    def _content(self, name: str) -> str | None:
        manifest, _ = self._manifest(name)
        return None if manifest is None else manifest.content_digest

    def _manifest(self, name: str) -> tuple[Manifest | None, str]:
        if name not in self._found:
            self._found[name] = _manifest(self._plan[name])
        return self._found[name]


def make_plan(graph: Graph, prompt: Prompt, root: Root, annotator: ModelNames | None = None) -> Plan:
    """Every step that the prompt asks for. Raises what a source raises that cannot be found.

    With the annotator at hand, what another revision of its model has answered is stale too.
    """
    planned: dict[str, PlannedStep] = {}
    contents: dict[str, str | None] = {}
    made = root.stages_made(prompt.slug)
    for step in graph:
        if (config := step.configure(prompt)) is None:
            continue
        inputs = tuple(name for name in step.inputs_of(prompt) if name in planned)
        digest = plan_digest(step, config, (planned[name].digest for name in inputs))
        folder = root.stage(step.name, digest)
        blank = PlannedStep(step, inputs, digest, config, folder)
        manifest, _ = found = _manifest(blank)
        now = _with_state(blank, found, contents, annotator, step.name in made)
        if manifest is not None:
            now = replace(now, checks=stored_results(step, prompt, root, manifest.content_digest))
        planned[step.name] = _blocked_by_gates(now, planned)
        contents[step.name] = None if manifest is None else manifest.content_digest
    return Plan(planned, prompt, root, annotator)


def plan_digest(step: Step[Any, Any], config: object, inputs: Iterable[str]) -> str:
    """The name of an output, known before anything runs."""
    return digest_of(
        {"stage": step.name, "code_version": step.version, "config": config_json(config), "inputs": list(inputs)}
    )


def _blocked_by_gates(one: PlannedStep, planned: Mapping[str, PlannedStep]) -> PlannedStep:
    """The step, `blocked` where a gate of an input has failed or an input is blocked itself.

    What is not there yet is held back by every gate that stands before it.
    """
    there = one.state is State.CURRENT
    for name in one.inputs if there else planned:
        above = planned[name]
        if name in one.inputs and above.state is State.BLOCKED:
            return replace(one, state=State.BLOCKED, reason=above.reason, blocked_by=above.blocked_by)
        if above.usable and (gates := stopping(above.checks or {})):
            reason = f"{name}: {'; '.join(gates)}"
            return replace(one, state=State.BLOCKED, reason=reason, blocked_by=name)
    return one


def _with_state(
    planned: PlannedStep,
    found: tuple[Manifest | None, str],
    contents: Mapping[str, str | None],
    annotator: ModelNames | None,
    made_before: bool,
) -> PlannedStep:
    """`contents` are the content digests of the outputs upstream that are there, `found` what `_manifest` gives."""
    manifest, problem = found
    blank = replace(planned, changed={}, failed_calls=0, reason="", manifest=manifest)
    if problem:
        return replace(blank, state=State.DAMAGED, reason=problem)
    if manifest is None:
        if not made_before:
            return replace(blank, state=State.MISSING)
        why = "the prompt, its sources or the code changed, or it was removed"
        return replace(blank, state=State.STALE, reason=why)
    now = {name: content for name in manifest.inputs if (content := contents.get(name)) is not None}
    changed = {name: content for name, content in now.items() if content != manifest.inputs[name].content}
    answers = _answers(planned, manifest)
    changed |= _another_revision(answers.answered_by, annotator)
    failed = answers.failed_calls
    state = State.STALE if changed else State.INCOMPLETE if failed else State.CURRENT
    reason = f"{' and '.join(changed)} changed" if changed else f"{failed} calls failed" if failed else ""
    return replace(blank, state=state, changed=changed, failed_calls=failed, reason=reason)


class _Answers(AnnotatorResult):
    """What the plan reads of the result of any step that asks an annotator."""

    model_config = ConfigDict(frozen=True, extra="ignore")


def _answers(planned: PlannedStep, manifest: Manifest) -> _Answers:
    return _Answers.model_validate(manifest.metrics if issubclass(planned.step.result, AnnotatorResult) else {})


def _another_revision(answered: AnsweredBy | None, annotator: ModelNames | None) -> dict[str, str]:
    """`{REVISION: the one at hand}` where both are known and differ, and the prompt names none; else nothing.

    A plan digest holds the revision that a prompt names. Where it names none, the annotator's own counts, which is
    known when it is asked. A model that the annotator at hand does not have says nothing: outputs are made on other
    machines too.
    """
    if annotator is None or answered is None or answered.pinned or not answered.revision:
        return {}
    try:
        _, revision = annotator.identity(answered.model)
    except ValueError:
        return {}
    return {REVISION: revision} if revision not in ("", answered.revision) else {}


def _manifest(planned: PlannedStep) -> tuple[Manifest | None, str]:
    """The manifest, if there is one, and what is wrong with it, if something is."""
    try:
        manifest = read_manifest(planned.folder)
    except DamagedStageError as error:
        return None, error.problem
    if manifest is None:
        return None, ""
    if (manifest.stage, manifest.plan_digest) != (planned.step.name, planned.digest):
        return None, (
            f"{planned.folder.uri}/{MANIFEST} is of {manifest.stage} {manifest.plan_digest}, not of "
            f"{planned.step.name} {planned.digest}"
        )
    try:
        _answers(planned, manifest)
    except ValidationError as error:
        return None, f"{planned.folder.uri}/{MANIFEST} cannot be read: {problems(error)}"
    return manifest, ""
