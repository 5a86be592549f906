"""Making one step: find its output, wait for it, or build it, then check it. Every entry point goes through here."""

import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from datashop_assets.core.checks import check_output, stopping
from datashop_assets.core.plan import Plan, PlannedStep, State
from datashop_assets.core.step import CheckResult, Resources, StepOutput, StepResult, StepRun, config_json
from datashop_assets.machine import cores
from datashop_assets.protocols.encoder import TextScorer
from datashop_assets.storage.leases import lease
from datashop_assets.storage.manifest import MANIFEST, Manifest, content_digest
from datashop_assets.storage.stage_folder import DamagedStageError
from datashop_assets.storage.stage_writer import StageWriter

RECORDED = ("jax", "jaxlib", "flax", "optax", "numpy", "polars", "pyarrow", "tokenizers", "fasttext-numpy2-wheel")


class BlockedError(ValueError):
    """A gate upstream has failed. The message names the gate, what it said and the fix."""


class MissingInputError(ValueError):
    """An input has not been made, or not for the prompt as it is now. The message names it and the fix."""


@dataclass(frozen=True)
class Outcome:
    """A finished step, what its checks say, and whether this call built it or found it."""

    output: StepOutput[Any]
    reused: bool
    checks: Mapping[str, CheckResult] = field(default_factory=dict)


def make_step(name: str, plan: Plan, resources: Resources) -> Outcome:
    """Makes one step of a plan, whose inputs must be there. Of two callers at once, one builds and the other reuses.

    Raises `MissingInputError`, `BlockedError`, `DamagedStageError`, and what the build raises.
    """
    planned = plan.refresh(name)
    inputs = _inputs(planned, plan)
    reused = planned.state is State.CURRENT
    if not reused:
        with lease(planned.folder) as held:
            planned = plan.refresh(name)
            reused = planned.state is State.CURRENT or (held.waited and planned.usable)
            if not reused:
                _build(planned, inputs, plan, resources, held.holder)
    output = planned.output
    output.check()
    plan.root.record_made(plan.prompt.slug, name, planned.digest)
    return Outcome(output, reused, check_output(planned.step, output, plan.prompt, plan.root, _finished(plan)))


def _inputs(planned: PlannedStep, plan: Plan) -> dict[str, StepOutput[Any]]:
    """The outputs that the step is made from, none missing, damaged, or held back by a gate."""
    if planned.state is State.DAMAGED:
        raise DamagedStageError(planned.reason)
    slug, refreshed = plan.prompt.slug, {name: plan.refresh(name) for name in planned.inputs}
    for one in refreshed.values():
        if one.state is State.DAMAGED:
            raise DamagedStageError(one.reason)
    absent = [one for one in refreshed.values() if not one.usable]
    if absent and planned.state is not State.CURRENT:
        names = ", ".join(one.step.name for one in absent)
        what = " and ".join(f"{one.step.name}, which {_missing(one)}" for one in absent)
        raise MissingInputError(
            f"{planned.step.name} of {slug!r} is made from {what}; materialize {names} for {slug!r} first, or select "
            f"them together with {planned.step.name}"
        )
    others = _finished(plan)
    for one in refreshed.values():
        if not one.usable:
            continue
        if gates := stopping(check_output(one.step, one.output, plan.prompt, plan.root, others)):
            raise BlockedError(
                f"{planned.step.name} of {slug!r} is blocked by {one.step.name}: {'; '.join(gates)}. Its output is "
                f"kept at {one.folder.uri}; correct what the gate names, or the gate's threshold in the prompt file"
            )
    outputs = {name: one.output for name, one in refreshed.items()}
    if planned.state is not State.CURRENT:
        for output in outputs.values():
            output.check()
    return outputs


def _missing(planned: PlannedStep) -> str:
    if planned.state is State.MISSING:
        return "has never been made"
    return "was made before the prompt, its sources or code changed"


def _finished(plan: Plan) -> dict[str, StepOutput[Any]]:
    """Outputs of the prompt that checks may read, whether they were there at the time of the plan or not."""
    read = {name for one in plan.values() for check in one.step.checks for name in check.reads_of(plan.prompt)}
    return {name: one.output for name in read if name in plan and (one := plan.refresh(name)).usable}


def _build(
    planned: PlannedStep, inputs: Mapping[str, StepOutput[Any]], plan: Plan, resources: Resources, holder: str
) -> None:
    root = plan.root
    scratch = root.scratch(planned.step.name, planned.digest)
    scratch.mkdir(parents=True, exist_ok=True)
    writer = StageWriter(planned.folder, scratch, holder)
    writer.begin({name: one.manifest.content_digest for name, one in inputs.items()}, planned.usable)
    started = time.monotonic()
    run = StepRun(
        config=planned.config,
        inputs=inputs,
        output=writer,
        resources=resources,
        cache=root.cache,
        answers=root.answers,
        prompt_folder=root.prompt(plan.prompt.slug),
        limits=planned.limits,
        scorer=lambda digest: _scorer(plan, digest),
        descriptions=lambda output: plan[output.manifest.stage].step.describe(output),
    )
    result = planned.step.build(run)
    writer.close(_manifest(planned, inputs, writer, result, time.monotonic() - started))


def _scorer(plan: Plan, digest: str) -> TextScorer:
    """The encoder that a finished step of this digest holds; it may have been made for another prompt."""
    for step in (planned.step for planned in plan.values()):
        folder = plan.root.stage(step.name, digest)
        if step.load_scorer is not None and folder.exists(MANIFEST):
            return step.load_scorer(step.output(folder))
    raise LookupError(
        f"no finished encoder {digest} under {plan.root.stages.uri}; `datashop status --json` lists the digests of "
        "those that are there"
    )


def _manifest(
    planned: PlannedStep,
    inputs: Mapping[str, StepOutput[Any]],
    writer: StageWriter,
    result: StepResult,
    seconds: float,
) -> Manifest:
    files = writer.files()
    return Manifest(
        stage=planned.step.name,
        plan_digest=planned.digest,
        content_digest=content_digest(files),
        code_version=planned.step.version,
        config=config_json(planned.config),
        inputs={
            name: {"plan": one.manifest.plan_digest, "content": one.manifest.content_digest}
            for name, one in inputs.items()
        },
        files=files,
        metrics=result.model_dump(mode="json"),
        seconds=round(seconds, 3),
        finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
        versions={name: found for name in RECORDED if (found := _version(name))},
        machine={"python": platform.python_version(), "processor": platform.machine(), "cores": cores()},
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
