"""The state of a prompt's steps, as `datashop status` and the list of data cards show it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from datashop_assets.core.plan import PlannedStep, State


class StepStatus(BaseModel):
    """One step of one prompt. What only a finished output has is None, zero or empty where there is none of use."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    state: State
    reason: str  # why it is stale, incomplete, damaged or blocked
    fix: str  # what a person must do; empty where a run does it all
    digest: str
    path: str
    content_digest: str | None = None
    rows: int = 0
    seconds: float = 0.0
    metrics: dict[str, Any] = {}
    failed_calls: int = 0


class Status(BaseModel):
    """Prompt -> step -> status, and what is wrong with prompts that cannot be used."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    prompts: dict[str, dict[str, StepStatus]]
    problems: dict[str, str]


class Problem(NamedTuple):
    """What a person must fix before these steps can be made."""

    steps: list[str]
    state: State
    reason: str
    fix: str


def problems_of(steps: Mapping[str, StepStatus]) -> list[Problem]:
    """The damaged and blocked ones of a prompt; those that the same gate holds back are one problem."""
    alike: dict[tuple[State, str, str], list[str]] = {}
    for name, one in steps.items():
        if one.fix:
            alike.setdefault((one.state, one.reason, one.fix), []).append(name)
    return [Problem(names, *same) for same, names in alike.items()]


def step_status(planned: PlannedStep) -> StepStatus:
    status = StepStatus(
        state=planned.state,
        reason=planned.reason,
        fix=planned.fix,
        digest=planned.digest,
        path=planned.folder.uri,
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
