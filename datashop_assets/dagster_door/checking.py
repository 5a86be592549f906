"""What all checks have in common, and the one that every asset has: is this what the prompt file asks for now?

A check runs with its asset, for the run's prompt. Executed by itself in the UI it has no partition (Dagster's own
partitioned checks are a preview), and then looks at every prompt for which the asset was made.
"""

from collections.abc import Callable, Mapping

import dagster as dg

from datashop_assets.graph.planning import Planned, State, plan
from datashop_assets.graph.stage import Stage
from datashop_assets.prompts.errors import PromptError
from datashop_assets.prompts.store import PromptStore
from datashop_assets.storage.stage_folder import StageFolder

DATA_VERSION = "dagster/data_version"
Judge = Callable[[str], dg.AssetCheckResult]


def judge_prompts(
    context: dg.AssetCheckExecutionContext, prompts: PromptStore, stage: Stage, judge: Judge
) -> dg.AssetCheckResult:
    """What `judge` says of the run's prompt, or of all prompts for which `stage` was made, taken together."""
    op = context.op_execution_context
    if op.has_partition_key:
        return _named(op.partition_key, judge)
    slugs = [slug for slug in prompts.slugs() if stage.name in prompts.root.made(slug)]
    results = [_named(slug, judge) for slug in slugs]
    if len(results) == 1:
        return results[0]
    failed = {result.severity for result in results if not result.passed}
    worst = dg.AssetCheckSeverity.WARN if failed == {dg.AssetCheckSeverity.WARN} else dg.AssetCheckSeverity.ERROR
    said = "\n".join(str(result.description) for result in results) or f"{stage.name} was made for no prompt yet"
    return dg.AssetCheckResult(passed=not failed, severity=worst, description=said)


def outputs_of(slug: str, prompts: PromptStore, *stages: str) -> tuple[StageFolder, ...]:
    """Finished stages of a prompt, for a check to read. Raises `dg.Failure` where one is not there."""
    planned = _planned(slug, prompts)
    for name in stages:
        if not planned[name].usable:
            says = f"{name} of {slug!r} is {planned[name].state.value}; materialize it, then check again"
            raise dg.Failure(says, allow_retries=False)
    return tuple(planned[name].output for name in stages)


def output_if_made(slug: str, prompts: PromptStore, stage: str) -> StageFolder | None:
    """A finished stage that a check can do without; None where it is not there."""
    planned = _planned(slug, prompts)[stage]
    return planned.output if planned.usable else None


def _planned(slug: str, prompts: PromptStore) -> Mapping[str, Planned]:
    try:
        return plan(prompts.load(slug), prompts.root)
    except PromptError as error:
        raise dg.Failure(str(error), allow_retries=False) from error


def matches_prompt_file(stage: Stage) -> dg.AssetChecksDefinition:
    """The check for one stage's asset. Run it any time: Dagster does not see that a prompt file has changed."""

    @dg.asset_check(
        asset=stage.name,
        name="matches_prompt_file",
        description="The data is what the prompt file, its sources and the code ask for now. If it fails, "
        "materialize the asset for this prompt together with what is upstream of it.",
    )
    def check(context: dg.AssetCheckExecutionContext, prompts: dg.ResourceParam[PromptStore]) -> dg.AssetCheckResult:
        def judge(slug: str) -> dg.AssetCheckResult:
            try:
                planned = plan(prompts.load(slug), prompts.root)[stage.name]
                difference = _difference(planned, _shown(context.instance, stage.name, slug))
            except PromptError as error:
                difference = str(error)
            severity = dg.AssetCheckSeverity.WARN
            return dg.AssetCheckResult(passed=not difference, severity=severity, description=difference or "it does")

        return judge_prompts(context, prompts, stage, judge)

    return check


def _difference(planned: Planned, shown: str | None) -> str:
    name = planned.stage.name
    match planned.state:
        case State.MISSING:
            return f"{name} has never been made; materialize it"
        case State.STALE:
            what = " and ".join(planned.changed) or "the prompt, its sources or the code"
            return f"{what} changed after {name} was made; materialize it again"
        case State.INCOMPLETE:
            return f"{planned.failed_calls} calls failed when {name} was made; materialize it to ask about those again"
    if shown not in (None, planned.digest):
        return (
            f"what is shown here is {shown}, the prompt asks for {planned.digest}, which is there; materialize {name}"
        )
    return ""


def _shown(instance: dg.DagsterInstance, name: str, slug: str) -> str | None:
    """The plan digest that Dagster's latest materialization for this prompt carries."""
    wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(name), asset_partitions=[slug])
    records = instance.fetch_materializations(wanted, limit=1).records
    event = records[0].asset_materialization if records else None
    return event.tags.get(DATA_VERSION) if event and event.tags else None


def _named(slug: str, judge: Judge) -> dg.AssetCheckResult:
    """The result with the prompt's slug in it: the UI shows one result an asset, whichever prompt came last."""
    result = judge(slug)
    metadata = {**result.metadata, "prompt": dg.MetadataValue.text(slug)}
    return result._replace(description=f"{slug}: {result.description}", metadata=metadata)
