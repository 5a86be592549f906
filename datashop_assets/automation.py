"""What starts by itself: the one job, and the sensor that asks for what a prompt lacks.

What to ask for is taken from `planning.plan`, never from the list of partitions: a daemon that dies after it added a
partition and before it saved its cursor finds the same work again, under the same run key.
"""

import json
from dataclasses import dataclass

import dagster as dg

from datashop_assets.graph.planning import digest_of_plan, plan, to_do
from datashop_assets.graph.stages import GRAPH
from datashop_assets.partitions import NAME, PROMPTS
from datashop_assets.prompts.prompt import Prompt
from datashop_assets.prompts.store import PromptStore

EVERY = 30  # seconds between looks; one look costs some milliseconds a prompt whose documents are on this machine

datashop = dg.define_asset_job(
    "datashop",
    selection=[stage.name for stage in GRAPH],  # by name: Dagster warns that "*" is beta
    description="The whole graph, or a part of it, for one prompt.",
)


@dataclass(frozen=True)
class Asked:
    """What was last asked for one prompt: the digest of its plan, empty when nothing was left to do, and which turn.

    Dagster never starts a second run under a used key. The turn rises with every change, so that an edit taken back,
    or a finished stage that is gone, gets a key of its own, and a tick that is repeated gets the same one.
    """

    digest: str = ""
    turn: int = 0

    def then(self, digest: str) -> "Asked":
        return self if digest == self.digest else Asked(digest, self.turn + bool(digest))


@dg.sensor(job=datashop, minimum_interval_seconds=EVERY, default_status=dg.DefaultSensorStatus.RUNNING)
def prompt_sensor(context: dg.SensorEvaluationContext, prompts: dg.ResourceParam[PromptStore]) -> dg.SensorResult:
    """Adds a partition for every prompt, asks for what automatic ones lack, and names the files it cannot use."""
    found, problems = prompts.prompts(), {slug: str(error) for slug, error in prompts.problems().items()}
    asked = _read(context.cursor)
    requests = []
    for slug, prompt in found.items():
        if not prompt.automatic:
            continue
        try:
            asked[slug], stages = _wanted(prompt, asked.get(slug, Asked()), prompts)
        except Exception as error:  # noqa: BLE001 - whatever a source raises stops its own prompt only, and is reported
            problems[slug] = f"{slug}: cannot be planned: {error}"
            continue
        if stages:
            requests.append(_request(slug, asked[slug], stages))
    for problem in problems.values():
        context.log.error(problem)
    new = [slug for slug in found if not context.instance.has_dynamic_partition(NAME, slug)]
    return dg.SensorResult(
        run_requests=requests,
        skip_reason=None if requests else _reason(problems),
        dynamic_partitions_requests=[PROMPTS.build_add_request(new)] if new else [],
        cursor=_written(asked),
    )


def _wanted(prompt: Prompt, asked: Asked, prompts: PromptStore) -> tuple[Asked, list[str]]:
    planned = plan(prompt, prompts.root)
    stages = to_do(planned)
    return asked.then(digest_of_plan(planned) if stages else ""), stages


def _request(slug: str, asked: Asked, stages: list[str]) -> dg.RunRequest:
    selection = [dg.AssetKey(name) for name in stages]
    return dg.RunRequest(run_key=f"{slug}@{asked.digest}#{asked.turn}", partition_key=slug, asset_selection=selection)


def _reason(problems: dict[str, str]) -> str:
    return "\n".join(["Nothing to do for the prompts that start by themselves.", *problems.values()])


def _read(cursor: str | None) -> dict[str, Asked]:
    return {slug: Asked(*entry) for slug, entry in json.loads(cursor or "{}").items()}


def _written(asked: dict[str, Asked]) -> str:
    return json.dumps({slug: [entry.digest, entry.turn] for slug, entry in sorted(asked.items())})
