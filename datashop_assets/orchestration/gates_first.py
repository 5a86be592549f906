"""An expensive step of a run waits until the gates that stand before it have spoken, however many processes there are.

One process a run follows the order of the graph by priorities, and nothing waits. With several, a step that reads no
answers could start beside the annotations that a gate will refuse. An edge from the one to the other would make it
wait, but lineage would show a dependency that there is none, and Dagster call the step stale for it. So it gives its
place back and asks to be started again.

Which steps of the run have ended is said by `DagsterInstance.get_run_step_stats`, which is not documented. A documented
status of a run's steps would replace it; the events of the run would have to be read from the first on at every look.
"""

from collections.abc import Container, Mapping

import dagster as dg

from datashop_assets.core.plan import Plan, State

WAIT = 60.0  # seconds until a step that waits is started again
MOST = 100_000  # times: annotation may take days
SUCCESS, FAILURE = "SUCCESS", "FAILURE"


def wait_for_gates(context: dg.AssetExecutionContext, plan: Plan, step: str) -> None:
    """Raises `dg.RetryRequested` while a gate before the step is still to be judged in this run.

    Raises `dg.Failure` where it will not be, because something that it depends on has failed.
    """
    if plan[step].state is State.CURRENT:
        return
    selected = set(plan if context.run.step_keys_to_execute is None else context.run.step_keys_to_execute)
    stats = context.instance.get_run_step_stats(context.run.run_id)
    statuses = {one.step_key: one.status.value for one in stats if one.status is not None}
    if (gate := gate_to_come(plan, step, selected, statuses)) is None:
        return
    if failed := [name for name in plan.upstream(gate) if statuses.get(name) == FAILURE]:
        raise dg.Failure(f"{step} is made after the gates of {gate}, and {failed[0]} failed before these; run again")
    context.log.info(f"waits for the gates of {gate}")
    raise dg.RetryRequested(max_retries=MOST, seconds_to_wait=WAIT)


def gate_to_come(plan: Plan, step: str, selected: Container[str], statuses: Mapping[str, str]) -> str | None:
    """A step of this run with gates that stands before `step`, is not upstream of it, and has not ended yet."""
    upstream = set(plan.upstream(step))
    for name in plan.before(step):
        has_gates = any(check.blocking for check in plan[name].step.checks)
        ended = statuses.get(name) in (SUCCESS, FAILURE)
        if has_gates and name in selected and name not in upstream and not ended:
            return name
    return None
