"""What Dagster knows of prompts' runs: which go on, how the last one ended, and which of them an edit has superseded.

The sensor cancels what it started itself and nothing else: a run that a person started goes on, pinned to its version
of the prompt. The documented way to cancel is GraphQL, which needs a webserver that runs; a documented method of
`DagsterInstance` would replace `run_coordinator.cancel_run` and the event that says why (`report_engine_event`).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from datashop_assets.orchestration.assets import PARTITIONS
from datashop_assets.orchestration.home import SETTINGS, use_home
from datashop_assets.orchestration.pinning import PARENT, RETRY, VERSION
from datashop_assets.orchestration.run_locks import end_dead_runs

PARTITION, SENSOR = "dagster/partition", "dagster/sensor_name"
WAITING = (dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED)
GOING_ON = (*WAITING, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED)
UNFINISHED = (*GOING_ON, dg.DagsterRunStatus.CANCELING)


def superseded(instance: dg.DagsterInstance, sensor: str, versions: Mapping[str, str]) -> list[dg.DagsterRun]:
    """Runs that the sensor started for another version of a prompt than `versions` say, by slug, it has now.

    Those of a prompt that is not there go on: its file may be unreadable for a moment.
    """
    runs = instance.get_runs(dg.RunsFilter(statuses=list(GOING_ON), tags={SENSOR: sensor}))
    return [
        run
        for run in runs
        if (now := versions.get(run.tags.get(PARTITION, ""))) is not None
        and run.tags.get(VERSION, now) != now
        and (PARENT not in run.tags or RETRY in run.tags)
    ]


def cancel(instance: dg.DagsterInstance, run: dg.DagsterRun, why: str) -> None:
    """Takes a run out of the queue, or ends its processes. Answers and finished shards are kept."""
    instance.report_engine_event(why, run)
    instance.run_coordinator.cancel_run(run.run_id)


def prompts_in_use(instance: dg.DagsterInstance) -> set[str]:
    """Prompts of which a run goes on."""
    runs = instance.get_runs(dg.RunsFilter(statuses=list(UNFINISHED)))
    return {run.tags[PARTITION] for run in runs if PARTITION in run.tags}


def last_runs(instance: dg.DagsterInstance, slugs: Iterable[str]) -> dict[str, str]:
    """Prompt -> what its newest run does or how it ended, in words; nothing where it never ran or all went well."""
    found = {}
    for slug in slugs:
        records = instance.get_run_records(dg.RunsFilter(tags={PARTITION: slug}), limit=1)
        if records and (said := _in_words(records[0])):
            found[slug] = said
    return found


def _in_words(record: dg.RunRecord) -> str:
    status = record.dagster_run.status
    if status in WAITING:
        return "queued"
    if status is dg.DagsterRunStatus.CANCELING:
        return "being cancelled"
    if status in GOING_ON:
        return f"running since {_time(record.start_time)}" if record.start_time else "starting"
    if status is dg.DagsterRunStatus.FAILURE:
        return f"failed at {_time(record.end_time)}" if record.end_time else "failed"
    return "cancelled" if status is dg.DagsterRunStatus.CANCELED else ""


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def prompts_in_use_at(home: Path) -> set[str]:
    """`prompts_in_use` of the instance of this `DAGSTER_HOME` (after dead runs are ended)."""
    with _instance(home) as instance:
        if instance is None:
            return set()
        end_dead_runs(instance)
        return prompts_in_use(instance)


def last_runs_at(home: Path, slugs: Iterable[str]) -> dict[str, str]:
    """`last_runs` of the instance of this `DAGSTER_HOME`."""
    with _instance(home) as instance:
        return last_runs(instance, slugs) if instance is not None else {}


def partitions_without_prompt(home: Path, slugs: Collection[str]) -> list[str]:
    """Partitions of Dagster that stand for none of these prompts."""
    with _instance(home) as instance:
        known = instance.get_dynamic_partitions(PARTITIONS) if instance is not None else []
    return sorted(set(known) - set(slugs))


def remove_partitions(home: Path, slugs: Iterable[str]) -> None:
    """Takes these partitions out of Dagster. Their runs and events stay in its history."""
    with _instance(home) as instance:
        if instance is not None:
            for slug in slugs:
                instance.delete_dynamic_partition(PARTITIONS, slug)


@contextmanager
def _instance(home: Path) -> Iterator[dg.DagsterInstance | None]:
    if not (home / SETTINGS).exists():
        yield None
        return
    use_home(home)
    with dg.DagsterInstance.get() as instance:
        yield instance
