"""What starts by itself: the sensor that asks for what a prompt lacks and reports what it sees.

What to ask for is taken from the plan, never from the list of partitions: a daemon that dies after it added a
partition and before it saved its cursor finds the same work again, under the same run key. What Dagster cannot know is
reported to it as events: prompt files as observations, outputs that were made for another prompt or outside Dagster as
materializations with `reused: true`, stale, damaged and blocked outputs as evaluations of the check `usable`.

A run that the sensor started is pinned to the version of the prompt that it was started for. An edit supersedes it: the
sensor cancels it, and asks for a run of the prompt as it is now.
"""

from collections.abc import Mapping

import dagster as dg
from pydantic import BaseModel

from datashop_assets.core.plan import Graph, Plan, make_plan
from datashop_assets.orchestration.assets import PARTITIONS, PROMPTS
from datashop_assets.orchestration.pinning import VERSION
from datashop_assets.orchestration.reporting import report_prompt_file, report_reused, usable_evaluations
from datashop_assets.orchestration.runs import UNFINISHED, cancel, superseded
from datashop_assets.prompts.store import PromptStore
from datashop_assets.prompts.versions import PromptVersions, data_version_of, version_of
from datashop_assets.protocols.annotator import ModelNames
from datashop_assets.storage.digests import digest_of

EVERY = 30  # seconds between looks; one look costs some milliseconds a prompt whose documents are on this machine
JOB = "datashop"
SENSOR = "prompt_sensor"


class SeenPrompt(BaseModel):
    """What the sensor last saw and asked of one prompt.

    Dagster never starts a second run under a used key. `turn` rises with every change of the plan, so that an edit
    taken back, or a finished output that is gone, gets a key of its own, and a tick that is repeated gets the same one.
    """

    requested: str = ""  # a digest of the plan and the prompt, empty when nothing was left to do
    turn: int = 0
    prompt: str = ""  # the data version of the prompt file as it was last reported
    outputs: str = ""  # a digest of the prompt and of the outputs that were there when they were last reported

    def request(self, digest: str) -> None:
        if digest != self.requested:
            self.requested, self.turn = digest, self.turn + bool(digest)


class Cursor(BaseModel):
    prompts: dict[str, SeenPrompt] = {}
    usable: dict[str, str] = {}  # step -> what the check last said of it


def prompt_sensor(graph: Graph, cards: str | None = None) -> dg.SensorDefinition:
    """The sensor of the job `JOB`. `cards` is the address where data cards are served, if they are."""

    @dg.sensor(
        job_name=JOB,
        name=SENSOR,
        minimum_interval_seconds=EVERY,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def sensor(
        context: dg.SensorEvaluationContext,
        storage: dg.ResourceParam[PromptStore],
        annotator: dg.ResourceParam[ModelNames],
    ) -> dg.SensorResult:
        """Adds a partition for every prompt, asks for what automatic ones lack, and names the files it cannot use."""
        return _tick(context, storage, annotator, graph, cards)

    return sensor


def _tick(
    context: dg.SensorEvaluationContext, prompts: PromptStore, annotator: ModelNames, graph: Graph, cards: str | None
) -> dg.SensorResult:
    found, problems = prompts.prompts(), {slug: str(error) for slug, error in prompts.problems().items()}
    cursor = Cursor.model_validate_json(context.cursor or "{}")
    plans: dict[str, Plan] = {}
    for slug, prompt in found.items():
        try:
            plans[slug] = make_plan(graph, prompt, prompts.root, annotator)
        except Exception as error:  # noqa: BLE001 - whatever a source raises stops its own prompt only, and is reported
            problems[slug] = f"{slug}: cannot be planned: {error}"
    versions = {slug: version_of(prompt) for slug, prompt in found.items()}
    for run in superseded(context.instance, SENSOR, versions):
        try:
            cancel(
                context.instance, run, "The prompt file was edited: a run of it as it is now takes this one's place."
            )
        except Exception as error:  # noqa: BLE001 - what executes the run may be gone; the next tick tries again
            context.log.error(f"run {run.run_id} is superseded and cannot be cancelled: {error}")
    requests = []
    for slug, plan in plans.items():
        seen = cursor.prompts.setdefault(slug, SeenPrompt())
        if plan.prompt.automatic and (request := _request(slug, plan, seen)):
            requests.append(request)
        if seen.prompt != (version := data_version_of(plan.prompt)):
            report_prompt_file(context.instance, plan.prompt)
            seen.prompt = version
        _report_reused(context.instance, graph, plan, seen, cards)
    evaluations = list(usable_evaluations(context.instance, graph, plans, cursor.usable))
    for one in evaluations:
        cursor.usable[one.asset_key.to_user_string()] = "" if one.passed else one.description or ""
    for problem in problems.values():
        context.log.error(problem)
    new = [slug for slug in found if not context.instance.has_dynamic_partition(PARTITIONS, slug)]
    return dg.SensorResult(
        run_requests=requests,
        skip_reason=None if requests else _reason(problems, plans),
        dynamic_partitions_requests=[PROMPTS.build_add_request(new)] if new else [],
        asset_events=evaluations,
        cursor=cursor.model_dump_json(),
    )


def _request(slug: str, plan: Plan, seen: SeenPrompt) -> dg.RunRequest | None:
    steps, version = plan.to_do(), version_of(plan.prompt)
    seen.request(digest_of([plan.digest, version]) if steps else "")
    if not steps:
        return None
    return dg.RunRequest(
        f"{slug}@{seen.requested}#{seen.turn}",
        partition_key=slug,
        asset_selection=[dg.AssetKey(name) for name in steps],
        tags={VERSION: PromptVersions(plan.root, slug).keep(plan.prompt)},
    )


def _report_reused(instance: dg.DagsterInstance, graph: Graph, plan: Plan, seen: SeenPrompt, cards: str | None) -> None:
    """Not while a run of the prompt makes more. Dagster is asked only if something has changed since the last look."""
    slug = plan.prompt.slug
    digest = digest_of([seen.prompt, {name: one.digest for name, one in plan.items() if one.usable}])
    if digest == seen.outputs:
        return
    unfinished = dg.RunsFilter(statuses=list(UNFINISHED), tags=dict(PROMPTS.get_tags_for_partition_key(slug)))
    if not instance.get_runs(unfinished, limit=1):
        report_reused(instance, graph, plan, cards)
        seen.outputs = digest


def _reason(problems: Mapping[str, str], plans: Mapping[str, Plan]) -> str:
    blocked = [
        f"{slug}: {', '.join(held)} blocked by {next(iter(held.values()))}"
        for slug, plan in plans.items()
        if (held := plan.blocked())
    ]
    return "\n".join(["Nothing to do for the prompts that start by themselves.", *problems.values(), *blocked])
