"""The state of a prompt's steps, as `datashop status` and the list of data cards show it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from datashop_assets.asking.spending import BudgetReachedError
from datashop_assets.core.checks import rows_that_failed
from datashop_assets.core.plan import PlannedStep, State
from datashop_assets.core.step import CheckResult
from datashop_assets.storage.folders import Folder

STOPPED = "stopped"  # in a prompt's folder: by step, why its last attempt stopped at its budget


class StepStatus(BaseModel):
    """One step of one prompt. What only a finished output has is None, zero or empty where there is none of use."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    state: State
    reason: str  # why it is stale, incomplete, damaged or blocked, or what stopped the last attempt to make it
    fix: str  # what a person must do; empty where a run does it all
    digest: str
    path: str
    content_digest: str | None = None
    rows: int = 0
    seconds: float = 0.0
    metrics: dict[str, Any] = {}
    failed_calls: int = 0
    checks: dict[str, CheckResult] = {}  # of its output, as they were last evaluated by the settings of now
    blocked_by: str = ""  # the step whose gate holds it back


class BudgetStop(BaseModel):
    """Why the last attempt to make a step stopped at its budget, kept with the prompt."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    digest: str
    reason: str
    fix: str


class DeploymentStatus(BaseModel):
    """Prompt -> step -> status, and what is wrong with prompts that cannot be used."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    prompts: dict[str, dict[str, StepStatus]]
    problems: dict[str, str]


class StepProblem(NamedTuple):
    """What a person must fix before these steps can be made."""

    steps: list[str]
    state: State
    reason: str
    fix: str
    sample: list[str]  # lines for a terminal: rows that made a gate fail


class Remark(NamedTuple):
    """A check that failed and holds nothing back: it only warns, or the prompt waives it for a reason."""

    step: str
    check: str
    said: str
    waived: str


def problems_of(steps: Mapping[str, StepStatus]) -> list[StepProblem]:
    """The damaged and blocked ones of a prompt, and those that a budget stopped; those that the same gate holds back
    are one problem.
    """
    alike: dict[tuple[State, str, str, str], list[str]] = {}
    for name, one in steps.items():
        if one.fix:
            alike.setdefault((one.state, one.reason, one.fix, one.blocked_by), []).append(name)
    return [
        StepProblem(
            names, state, reason, fix, rows_that_failed(steps[blocked_by].checks) if blocked_by in steps else []
        )
        for (state, reason, fix, blocked_by), names in alike.items()
    ]


def remarks_of(steps: Mapping[str, StepStatus]) -> list[Remark]:
    """What failed checks say, in the order of the graph, of those that hold nothing back."""
    return [
        Remark(name, check, one.description, one.waived)
        for name, step in steps.items()
        for check, one in step.checks.items()
        if not one.passed and not one.stops
    ]


def record_stop(prompt: Folder, step: str, digest: str, stop: BudgetReachedError) -> None:
    one = BudgetStop(digest=digest, reason=stop.problem, fix=stop.fix)
    prompt.child(STOPPED).write(step, one.model_dump_json().encode())


def with_stops(steps: Mapping[str, StepStatus], prompt: Folder) -> dict[str, StepStatus]:
    """The same, with the reason for steps that are not there because their budget stopped them."""
    folder, found = prompt.child(STOPPED), dict(steps)
    for name in folder.names():
        one = steps.get(name)
        if one is None or one.fix or one.state not in (State.MISSING, State.STALE, State.INCOMPLETE):
            continue
        try:
            stop = BudgetStop.model_validate_json(folder.read(name))
        except (ValidationError, OSError):  # it only says why; the next run says so again
            continue
        if stop.digest == one.digest:
            found[name] = one.model_copy(update={"reason": stop.reason, "fix": stop.fix})
    return found


def step_status(planned: PlannedStep) -> StepStatus:
    status = StepStatus(
        state=planned.state,
        reason=planned.reason,
        fix=planned.fix,
        digest=planned.digest,
        path=planned.folder.uri,
        checks=dict(planned.checks or {}),
        blocked_by=planned.blocked_by,
    )
    manifest = planned.manifest
    if not planned.usable or manifest is None:
        return status
    finished = {
        "content_digest": manifest.content_digest,
        "rows": manifest.rows,
        "seconds": manifest.seconds,
        "metrics": manifest.metrics,
        "failed_calls": planned.failed_calls,
    }
    return status.model_copy(update=finished)
