"""The check that every asset has: whether what is there is what the prompt file asks for now."""

import dagster as dg

from datashop_assets.planning import Planned, State, plan
from datashop_assets.prompt_errors import PromptError
from datashop_assets.prompt_store import PromptStore
from datashop_assets.stage import Stage
from datashop_assets.storage.stage_folder import StageFolder

DATA_VERSION = "dagster/data_version"


def matches_prompt_file(stage: Stage) -> dg.AssetChecksDefinition:
    """The check for one stage's asset. Run it any time: Dagster does not see that a prompt file has changed."""

    @dg.asset_check(
        asset=stage.name,
        name="matches_prompt_file",
        description="The data is what the prompt file, its sources and the code ask for now. If it fails, "
        "materialize the asset for this prompt together with what is upstream of it.",
    )
    def check(context: dg.AssetCheckExecutionContext, prompts: dg.ResourceParam[PromptStore]) -> dg.AssetCheckResult:
        slug = context.op_execution_context.partition_key
        try:
            planned = plan(prompts.load(slug), prompts.root)[stage.name]
        except PromptError as error:
            return _result(str(error))
        return _result(_difference(planned, _shown(context, stage.name, slug), slug))

    return check


def outputs_of(context: dg.AssetCheckExecutionContext, prompts: PromptStore, *stages: Stage) -> tuple[StageFolder, ...]:
    """The finished stages of the partition's prompt that a check reads. Raises `dg.Failure` where one is not there."""
    slug = context.op_execution_context.partition_key
    try:
        planned = plan(prompts.load(slug), prompts.root)
    except PromptError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    for name in stages:
        if planned[name].state is not State.CURRENT:
            says = f"{name} of {slug!r} is {planned[name].state.value}; materialize it, then check again"
            raise dg.Failure(says, allow_retries=False)
    return tuple(planned[name].output for name in stages)


def _difference(planned: Planned, shown: str | None, slug: str) -> str:
    name = planned.stage.name
    match planned.state:
        case State.MISSING:
            return f"{name} has never been made for {slug!r}; materialize it"
        case State.STALE:
            return f"the prompt {slug!r}, its sources or the code changed after {name} was made; materialize it again"
    if shown not in (None, planned.digest):
        return (
            f"what is shown here is {shown}, the prompt asks for {planned.digest}, which is there; materialize {name}"
        )
    return ""


def _shown(context: dg.AssetCheckExecutionContext, name: str, slug: str) -> str | None:
    """The plan digest that Dagster's latest materialization for this prompt carries."""
    wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(name), asset_partitions=[slug])
    records = context.instance.fetch_materializations(wanted, limit=1).records
    event = records[0].asset_materialization if records else None
    return event.tags.get(DATA_VERSION) if event and event.tags else None


def _result(difference: str) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=not difference, severity=dg.AssetCheckSeverity.WARN, description=difference)
