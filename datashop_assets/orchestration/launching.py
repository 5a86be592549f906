"""A run of the graph from the terminal: in this process, recorded like any other.

This module imports from Dagster's private modules, and no other of the product does. `webserver.py` and `reporting.py`
rely on what is private too, and `run_locks.py`, `runs.py` and `gates_first.py` call methods of `DagsterInstance` that
are not documented: each says what would replace them. Here the run must carry its code location, so that the UI can
execute it again. The public ways either leave that out (`JobDefinition.execute_in_process`, `dagster job execute`) or
launch through a code server and the daemon (`dagster job launch`, which takes 8 s of processor time before it returns,
and needs a daemon that runs). `execute_in_process` replaces what is here when it takes a `remote_job_origin`.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run_iterator
from dagster._core.remote_origin import RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.workspace.load import location_origins_from_yaml_paths
from dagster._utils.interrupts import capture_interrupts

from datashop_assets.core.plan import Plan
from datashop_assets.graph import GRAPH
from datashop_assets.orchestration.assets import NO_RETRIES, PARTITIONS, PROMPTS
from datashop_assets.orchestration.home import home_folder, use_home
from datashop_assets.orchestration.pinning import VERSION, hand_down
from datashop_assets.orchestration.reporting import report_prompt_file, report_reused
from datashop_assets.orchestration.run_locks import end_dead_runs, hold
from datashop_assets.orchestration.sensor import JOB
from datashop_assets.prompts.versions import version_of
from datashop_assets.settings import Settings
from datashop_assets.shipped import shipped
from resources.progress import TerminalProgress

REPOSITORY = "__repository__"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}  # the terminal shows bars; the UI shows all
LOGGER = "datashop"  # Dagster's settings name it too: what it says is in the run's events


def launch(
    definitions: Callable[..., dg.Definitions],
    plan: Plan,
    steps: Iterable[str],
    settings: Settings,
    resources: dict[str, Any] | None = None,
) -> bool:
    """Makes `steps` of a plan as one Dagster run, showing how far it is; says whether it succeeded.

    `definitions` makes those of the settings; `resources` stand in place of some of theirs.

    Raises `KeyboardInterrupt` where a signal stopped the run, once Dagster has recorded its end.
    """
    use_home(home_folder(settings))
    terminal = TerminalProgress()
    here = {"progress": terminal} | (resources or {})
    job = definitions(settings, dg.in_process_executor, **here).resolve_job_def(JOB)
    with dg.DagsterInstance.get() as instance:
        end_dead_runs(instance)
        run = _run(instance, job, plan, steps)
        report_prompt_file(instance, plan.prompt)
        report_reused(instance, GRAPH, plan, settings.cards)
        hand_down(run.run_id, plan)
        hold(instance, run.run_id)
        stopped = False
        # interrupts are captured so that Ctrl-C ends the run, not only the step that it happens to meet
        with _log_lines(terminal.say), capture_interrupts():
            for event in execute_run_iterator(InMemoryJob(job), run, instance):
                stopped = stopped or _is_interruption(event)
                if not stopped:
                    _report(event, terminal.say)
        if stopped:
            raise KeyboardInterrupt
        finished = instance.get_run_by_id(run.run_id)
        return finished is not None and finished.is_success


@contextmanager
def _log_lines(say: Callable[[str], None]) -> Iterator[None]:
    """Says what Datashop logs as plain lines, and by this alone: orbax hands every line to standard error as well."""
    logger, handler = logging.getLogger(LOGGER), _LineHandler(say)
    logger.addHandler(handler)  # before Dagster's own, which puts the run's id into the record
    logger.propagate = False
    try:
        yield
    finally:
        logger.propagate = True
        logger.removeHandler(handler)


class _LineHandler(logging.Handler):
    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(logging.INFO)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        self._say(f"  {record.getMessage()}")


def _run(instance: dg.DagsterInstance, job: dg.JobDefinition, plan: Plan, steps: Iterable[str]) -> dg.DagsterRun:
    slug = plan.prompt.slug
    if not instance.has_dynamic_partition(PARTITIONS, slug):
        instance.add_dynamic_partitions(PARTITIONS, [slug])
    return instance.create_run_for_job(
        job,
        run_config=QUIET,
        # who waits at the terminal sees the error and decides
        tags={**NO_RETRIES, **PROMPTS.get_tags_for_partition_key(slug), VERSION: version_of(plan.prompt)},
        asset_selection=frozenset(dg.AssetKey(name) for name in steps),
        remote_job_origin=_origin(),
    )


def _origin() -> RemoteJobOrigin:
    (location,) = location_origins_from_yaml_paths([str(shipped("workspace.yaml"))])
    return RemoteRepositoryOrigin(location, REPOSITORY).get_job_origin(JOB)


def _report(event: dg.DagsterEvent, say: Callable[[str], None]) -> None:
    if event.is_step_materialization:
        metadata = event.step_materialization_data.materialization.metadata
        if "reused" not in metadata:
            return
        took = "reused" if metadata["reused"].value else f"{metadata['seconds'].value:.1f} s"
        say(f"  {event.step_key:<20} {took:>10}  {metadata['dagster/row_count'].value:>10,} rows")
    elif event.is_step_failure:
        say(f"  {event.step_key} {_why(event)}")
    elif event.event_type_value == "ASSET_CHECK_EVALUATION":
        check = event.asset_check_evaluation_data
        if not check.passed:
            say(f"  {check.asset_key.to_user_string()}: check {check.check_name} failed: {check.description}")


def _is_interruption(event: dg.DagsterEvent) -> bool:
    """Whether a signal ended a step, or the run between two steps."""
    error = event.step_failure_data.error if event.is_step_failure else None
    while error is not None:
        if error.cls_name == dg.DagsterExecutionInterruptedError.__name__:
            return True
        error = error.cause or error.context
    return event.event_type in (dg.DagsterEventType.PIPELINE_CANCELING, dg.DagsterEventType.PIPELINE_CANCELED)


def _why(event: dg.DagsterEvent) -> str:
    """What the stage itself raised, without Dagster's frames around it; the traceback is in the run's log."""
    failure = event.step_failure_data
    if failure.user_failure_data:
        return f"failed: {failure.user_failure_data.description or ''}"
    error = failure.error
    if error is not None and error.cls_name == "DagsterAssetCheckFailedError":  # the gates were named before
        return "is made, and its gates stop the run"
    while error is not None and error.cause is not None:
        error = error.cause
    return f"failed: {error.message.strip() if error is not None else ''}"
