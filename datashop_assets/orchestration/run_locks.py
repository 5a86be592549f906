"""Runs whose process is gone. Dagster calls them running for ever, and one such run holds up all that wait.

The process that executes a run holds a lock on a file named by the run. The kernel lets go of it when the process
ends, however it ends: a run that Dagster calls running and whose lock is free is dead.

Dagster documents no method that ends a run as failed and frees its places in pools. `report_run_failed` and
`free_concurrency_slots_for_run` do it; run monitoring that covers runs of the terminal would replace this module.
"""

import fcntl
import os
from pathlib import Path

import dagster as dg

UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_held: dict[str, int] = {}  # open files of this process by run, kept until it ends


def hold(instance: dg.DagsterInstance, run_id: str) -> None:
    """Says that this process executes the run. To say so again changes nothing."""
    if run_id in _held or not instance.is_persistent:
        return
    file = os.open(_lock(instance, run_id), os.O_CREAT | os.O_WRONLY, 0o600)
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    _held[run_id] = file


def end_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Marks runs whose process is gone as failed, frees their places in pools, and returns their ids."""
    runs = instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
    dead = [run for run in runs if run.run_id not in _held and _is_free(_lock(instance, run.run_id))]
    for run in dead:
        instance.report_run_failed(run, "The process that executed this run is gone. Finished shards are kept.")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    return [run.run_id for run in dead]


def end_dead_runs_here() -> list[str]:
    """`end_dead_runs` of the instance that `DAGSTER_HOME` names."""
    with dg.DagsterInstance.get() as instance:
        return end_dead_runs(instance)


def _lock(instance: dg.DagsterInstance, run_id: str) -> Path:
    folder = Path(instance.root_directory) / "run_locks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / run_id


def _is_free(lock: Path) -> bool:
    """False where there is no such file: the run has not begun, or is executed on another machine."""
    if not lock.exists():
        return False
    with lock.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
