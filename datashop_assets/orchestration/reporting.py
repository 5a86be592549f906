"""What Dagster cannot know, reported to it as events: prompt files, outputs that no run of the prompt made, states.

Dagster calls an output unsynced when the data version of an input is another than the one that it was made from. Every
step has `prompt_file` among its inputs, and most edits leave most steps as they are. So what is current is reported
again after an edit, with `reused: true`: what stays unsynced is what a run would make. So are steps that the prompt
does not ask for, with `requested: false`: no run makes them, and Dagster warns of an input that was never materialized.

What an event was made from stands in tags whose names Dagster keeps to itself (`INPUT_VERSION`, `INPUT_EVENT` and
`NONE_YET` repeat them; a test compares them with Dagster's). An `input_data_versions` of `report_runless_asset_event`,
beside the `data_version` that `MaterializeResult` takes, would replace them.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from datashop_assets.core.plan import Graph, Plan, PlannedStep, State
from datashop_assets.orchestration.assets import (
    DATA_VERSION,
    NOT_REQUESTED,
    PROMPT_FILE,
    USABLE,
    card_link,
    dependencies,
)
from datashop_assets.prompts.prompt import Prompt
from datashop_assets.prompts.versions import data_version_of

NOT_USABLE = (State.STALE, State.DAMAGED, State.BLOCKED)
# as Dagster's own materializations say what they were made from: the version of an input, and the event that gave it
INPUT_VERSION, INPUT_EVENT = "dagster/input_data_version", "dagster/input_event_pointer"
CODE_VERSION = "dagster/code_version"
NONE_YET = "NULL"  # Dagster's word for an input that was never materialized


def report_prompt_file(instance: dg.DagsterInstance, prompt: Prompt) -> None:
    """Where Dagster does not know the prompt file as it is: lineage begins there."""
    latest, version = _Latest(instance, prompt.slug), data_version_of(prompt)
    if latest.tags(PROMPT_FILE).get(DATA_VERSION) != version:
        latest.report(dg.AssetObservation(PROMPT_FILE, partition=prompt.slug, tags={DATA_VERSION: version}))


def report_reused(instance: dg.DagsterInstance, graph: Graph, plan: Plan, cards: str | None = None) -> None:
    """Outputs that Dagster does not show as made from the prompt file as it is: those that were made for other prompts
    or outside Dagster, and those that an edit leaves as they are; and steps that the prompt does not ask for.

    Each is reported with the events of its inputs, which therefore come first, and with a link to the prompt's card
    where cards are served at an address.
    """
    slug = plan.prompt.slug
    latest = _Latest(instance, slug)
    for step in graph:
        planned = plan.get(step.name)
        if planned is not None and not planned.usable:
            continue
        inputs, data_version = dependencies(step, graph), NOT_REQUESTED if planned is None else planned.digest
        made_from = {f"{INPUT_VERSION}/{one}": latest.tags(one).get(DATA_VERSION, NONE_YET) for one in inputs}
        tags = {DATA_VERSION: data_version, **made_from}
        if tags.items() <= latest.tags(step.name).items():
            continue
        tags |= {f"{INPUT_EVENT}/{one}": latest.pointer(one) for one in inputs} | {CODE_VERSION: step.version}
        metadata = {"requested": False} if planned is None else card_link(slug, cards) | _found(planned)
        latest.report(dg.AssetMaterialization(step.name, partition=slug, metadata=metadata, tags=tags))


class _Latest:
    """The latest events of a prompt's partition, each read once until something is reported."""

    def __init__(self, instance: dg.DagsterInstance, slug: str) -> None:
        self._instance, self._slug = instance, slug
        self._records: dict[str, dg.EventLogRecord | None] = {}

    def tags(self, name: str) -> Mapping[str, str]:
        """The version of the prompt file or of an output, and of an output also those of what it was made from."""
        record = self._record(name)
        event = (record.asset_observation or record.asset_materialization) if record else None
        return (event.tags if event else None) or {}

    def pointer(self, name: str) -> str:
        """The number of the event."""
        record = self._record(name)
        return str(record.storage_id) if record else NONE_YET

    def report(self, event: dg.AssetMaterialization | dg.AssetObservation) -> None:
        self._instance.report_runless_asset_event(event)
        self._records.pop(event.asset_key.to_user_string(), None)

    def _record(self, name: str) -> dg.EventLogRecord | None:
        if name not in self._records:
            of = self._instance.fetch_observations if name == PROMPT_FILE else self._instance.fetch_materializations
            wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(name), asset_partitions=[self._slug])
            self._records[name] = next(iter(of(wanted, limit=1).records), None)
        return self._records[name]


def _found(planned: PlannedStep) -> dict[str, Any]:
    """What the UI shows of an output that was made elsewhere, or before."""
    manifest = planned.output.manifest
    return {
        "path": dg.MetadataValue.path(planned.folder.uri),
        "dagster/row_count": manifest.rows,
        "reused": True,
        "seconds": manifest.seconds,
        "content_digest": manifest.content_digest,
    }


def usable_evaluations(
    instance: dg.DagsterInstance, graph: Graph, plans: Mapping[str, Plan], before: Mapping[str, str]
) -> Iterator[dg.AssetCheckEvaluation]:
    """What the check `usable` says of the steps for all these prompts together, where that is news.

    `before` holds what it said at the last look, by step. A run of one prompt that makes a step evaluates the check
    too, and for its prompt alone; so where something is wrong, Dagster is asked what it shows.
    """
    for name in graph.names:
        held = [(slug, plan[name]) for slug, plan in plans.items() if name in plan]
        wrong = [
            f"{slug}: {one.state}: {one.reason}; {_fix(one, slug)}" for slug, one in held if one.state in NOT_USABLE
        ]
        said = "\n".join(wrong)
        if said == before.get(name, "") and (not said or _shown(instance, name) == said):
            continue
        yield dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey(name),
            check_name=USABLE,
            passed=not wrong,
            severity=dg.AssetCheckSeverity.WARN,
            description=said or "no prompt has a stale, damaged or blocked output",
            metadata={},
        )


def _fix(planned: PlannedStep, slug: str) -> str:
    return planned.fix or f"`datashop run {slug}` makes it again"


def _shown(instance: dg.DagsterInstance, name: str) -> str | None:
    """What Dagster shows of the check: the description of its latest evaluation."""
    record = instance.get_latest_asset_check_evaluation_record(dg.AssetCheckKey(dg.AssetKey(name), USABLE))
    event = record.event if record is not None else None
    evaluation = event.dagster_event.asset_check_evaluation_data if event and event.dagster_event else None
    return evaluation.description if evaluation is not None else None
