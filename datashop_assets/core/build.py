"""Making one step: find its output, wait for it, or build it, then check it. Every entry point goes through here."""

import logging
import platform
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from datashop_assets.asking.spending import BudgetReachedError
from datashop_assets.core.checks import check_output, rows_that_failed, stopping
from datashop_assets.core.plan import Look, Plan, PlannedStep, State
from datashop_assets.core.status import record_stop
from datashop_assets.core.step import CheckResult, Resources, StepOutput, StepResult, StepRun, config_json
from datashop_assets.machine import cores
from datashop_assets.protocols.encoder import TextScorer
from datashop_assets.storage.leases import Held, LostLeaseError, check_held, lease
from datashop_assets.storage.manifest import MANIFEST, MadeFrom, Manifest, content_digest
from datashop_assets.storage.scratch import scratch_folder
from datashop_assets.storage.stage_folder import DamagedStageError
from datashop_assets.storage.stage_writer import LEASES, StageWriter, is_untidy, tidy
from datashop_assets.storage.writing import DISK_FULL, free_bytes

logger = logging.getLogger("datashop")  # which the terminal and Dagster show
RECORDED = ("jax", "jaxlib", "flax", "optax", "numpy", "polars", "pyarrow", "tokenizers", "fasttext-numpy2-wheel")


class BlockedError(ValueError):
    """A gate has failed. The message names the gate, what it said, rows that made it fail, and the fix."""

    @classmethod
    def of(cls, begins: str, checks: Mapping[str, CheckResult], kept: str) -> "BlockedError":
        """`kept` is the folder of the output that the gates judged."""
        return cls(
            f"{begins}: {'; '.join(stopping(checks))}. Its output is kept at {kept}; correct what the gate names, or "
            "the gate's threshold in the prompt file, or waive the gate there with a reason (`gates.waive`)"
            + "".join(f"\n  {line}" for line in rows_that_failed(checks))
        )


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

    A damaged output is set aside and made again, which the log says. Raises `MissingInputError`, `BlockedError`,
    `DamagedStageError` for an input, `LostLeaseError`, and what the build raises.
    """
    look = plan.look()
    planned, names = _believed(look[name])
    inputs = _inputs(planned, plan, look)
    scratch = plan.root.scratch(name, planned.digest)
    reused = planned.state is State.CURRENT
    if not reused or is_untidy(names, scratch):
        if planned.state is State.DAMAGED and planned.folder.is_file():
            _set_aside(planned, plan)  # a lease is a file in the folder, and there is none
        with lease(planned.folder, plan.prompt.slug, lambda text: logger.info("%s: %s", name, text)) as held:
            look = plan.look()
            planned, _ = _believed(look[name])
            reused = planned.state is State.CURRENT or (held.waited and planned.usable)
            if reused:
                tidy(planned.folder, scratch)
            else:
                _build(planned, inputs, plan, resources, held)
                look = plan.look()
                planned = look[name]
    output = planned.output
    if not reused:
        output.check()
    plan.root.record_made(plan.prompt.slug, name, planned.digest)
    others = _finished(planned, plan, look)
    return Outcome(output, reused, check_output(planned.step, output, plan.prompt, plan.root, others))


def _believed(planned: PlannedStep) -> tuple[PlannedStep, list[str]]:
    """The step, `damaged` where a file of its output is gone or cut short, and what is in the folder of a whole one."""
    if not planned.usable:
        return planned, []
    try:
        return planned, planned.output.check()
    except DamagedStageError as error:
        return replace(planned, state=State.DAMAGED, reason=error.problem, manifest=None), []


def _set_aside(planned: PlannedStep, plan: Plan) -> None:
    """Moves a damaged output out of the way, where a person can look at it and `datashop prune` finds it."""
    place = plan.root.damaged.child(planned.step.name, f"{planned.digest}-{datetime.now(UTC):%Y%m%dT%H%M%S}")
    planned.folder.move_into(place, but=LEASES)
    logger.warning(
        "%s is damaged: %s. It was moved to %s and is made again", planned.step.name, planned.reason, place.uri
    )


def _inputs(planned: PlannedStep, plan: Plan, look: Look) -> dict[str, StepOutput[Any]]:
    """The outputs that the step is made from, none missing, damaged, or held back by a gate."""
    slug, current = plan.prompt.slug, planned.state is State.CURRENT
    now = {name: look[name] for name in planned.inputs}
    for one in now.values():
        if one.state is State.DAMAGED:
            raise DamagedStageError(one.reason, one.fix)
    _refuse_blocked(planned, plan, look)
    absent = [one for one in now.values() if not one.usable]
    if absent and not current:
        names = ", ".join(one.step.name for one in absent)
        what = " and ".join(f"{one.step.name}, which {_missing(one)}" for one in absent)
        raise MissingInputError(
            f"{planned.step.name} of {slug!r} is made from {what}; materialize {names} for {slug!r} first, or select "
            f"them together with {planned.step.name}"
        )
    outputs = {name: one.output for name, one in now.items()}
    if not current:
        for output in outputs.values():
            output.check()
    return outputs


def _refuse_blocked(planned: PlannedStep, plan: Plan, look: Look) -> None:
    """Raises `BlockedError` where a gate has failed of anything upstream, however far.

    Also where one has failed that stands before it in the graph, unless the step is there: then nothing is spent on it.
    """
    there, step = planned.state is State.CURRENT, planned.step.name
    for name in plan.upstream(step) if there else plan.before(step):
        one = look[name]
        if not one.usable or not any(check.blocking for check in one.step.checks):
            continue
        checks = check_output(one.step, one.output, plan.prompt, plan.root, _finished(one, plan, look))
        if any(result.stops for result in checks.values()):
            begins = f"{planned.step.name} of {plan.prompt.slug!r} is blocked by {name}"
            raise BlockedError.of(begins, checks, one.folder.uri)


def _missing(planned: PlannedStep) -> str:
    if planned.state is State.MISSING:
        return "has never been made"
    return "was made before the prompt, its sources or code changed"


def _finished(planned: PlannedStep, plan: Plan, look: Look) -> dict[str, StepOutput[Any]]:
    """Outputs that the step's checks read, whether they were there at the time of the plan or not."""
    read = {name for check in planned.step.checks for name in check.reads_of(plan.prompt)}
    return {name: one.output for name in read if name in plan and (one := look[name]).usable}


def _build(
    planned: PlannedStep, inputs: Mapping[str, StepOutput[Any]], plan: Plan, resources: Resources, held: Held
) -> None:
    if planned.state is State.DAMAGED:
        _set_aside(planned, plan)
    root = plan.root
    scratch = scratch_folder(root.scratch(planned.step.name, planned.digest), held)
    writer = StageWriter(planned.folder, scratch, held.holder)
    started = time.monotonic()
    run = StepRun(
        config=planned.config,
        inputs=inputs,
        output=writer,
        resources=resources,
        cache=root.cache,
        data=root.data,
        answers=root.answers,
        prompt_folder=root.prompt(plan.prompt.slug),
        limits=planned.step.limits(plan.prompt, resources.prices),
        scorer=lambda digest: _scorer(plan, digest),
        descriptions=lambda output: plan[output.manifest.stage].step.describe(output),
        checks=lambda name: _checks_of(plan, name),
    )
    with _explained(planned, scratch, held):
        writer.begin({name: one.manifest.content_digest for name, one in inputs.items()}, planned.usable)
        try:
            result = planned.step.build(run)
        except BudgetReachedError as stop:
            record_stop(root.prompt(plan.prompt.slug), planned.step.name, planned.digest, stop)
            raise
        writer.close(_manifest(planned, inputs, writer, result, time.monotonic() - started))


def _raise_if_lost(planned: PlannedStep, held: Held, error: Exception) -> None:
    try:
        check_held(planned.folder, held.holder)
    except LostLeaseError as lost:
        raise lost from error
    except Exception:  # noqa: BLE001 - where the storage does not answer, the build's own error is the one to be seen
        return


@contextmanager
def _explained(planned: PlannedStep, scratch: Path, held: Held) -> Iterator[None]:
    """Says of an error what is behind it: a lease that was lost, or a full disk that the error does not name."""
    try:
        yield
    except LostLeaseError:
        raise
    except Exception as error:
        _raise_if_lost(planned, held, error)
        if isinstance(error, OSError) and error.errno in DISK_FULL and "bytes are free" not in str(error):
            places = [place for place in (scratch, planned.folder.local, Path(tempfile.gettempdir())) if place]
            free = ", ".join(f"{free_bytes(place):,} in {place}" for place in places)
            raise OSError(
                error.errno,
                f"{planned.step.name}: {error.strerror or error}. Bytes that are free: {free}. Make room where it is "
                "least, then run again: finished files are kept",
            ) from error
        raise


def _checks_of(plan: Plan, name: str) -> dict[str, CheckResult]:
    look = plan.look()
    one = look[name]
    return check_output(one.step, one.output, plan.prompt, plan.root, _finished(one, plan, look))


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
            name: MadeFrom(plan=one.manifest.plan_digest, content=one.manifest.content_digest)
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
