"""Dagster assets and checks, made from the declarations of the graph.

Every step becomes one asset, partitioned by prompt, with a check for each check that the step declares and the check
`usable`. Upstream of all of them stands `prompt_file`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from datashop_assets.cards import card_address
from datashop_assets.core.build import Outcome, make_step
from datashop_assets.core.plan import Graph
from datashop_assets.core.step import CheckResult, Resources, Step
from datashop_assets.costs import beside_estimate, tokens_said
from datashop_assets.orchestration.gates_first import wait_for_gates
from datashop_assets.orchestration.pinning import plan_of_run
from datashop_assets.orchestration.run_locks import hold
from datashop_assets.prompts.parsing import PromptError
from datashop_assets.protocols.annotator import Closable
from datashop_assets.storage.stage_folder import DamagedStageError

OWNERS = ["team:datashop"]
CLUSTER = "datashop/cluster"  # the tag of a step that belongs on one of the clusters
USABLE = "usable"
USABLE_DESCRIPTION = (
    "The output is what the prompt asks for now, it can be read, and no gate upstream holds it back. If it fails, it "
    "names the prompt, what changed, the folder or the gate, and the fix."
)
DATA_VERSION = "dagster/data_version"
PROMPT_FILE = "prompt_file"
NOT_REQUESTED = "not requested"  # the data version of a step that a prompt does not ask for
NO_RETRIES = {"dagster/max_retries": "0"}  # of a run: Dagster retries a failed run by its own setting, whatever failed

# A partition is a prompt, its key the prompt's slug. All assets share one definition: assets of different dynamic
# definitions cannot stand in one run. Dagster checks no key, and a comma in one breaks backfills: the project's own
# slugs (`prompts.checked_slug`) hold none.
PARTITIONS = "prompts"
PROMPTS = dg.DynamicPartitionsDefinition(name=PARTITIONS)


# An external asset and no `@observable_source_asset`: that one is marked as beta and sets off a deprecation warning of
# Dagster's own. The sensor and the terminal report its observations.
prompt_file = dg.AssetSpec(
    PROMPT_FILE,
    description="The prompt file of each partition. Its data version is the digest of what it says, which the sensor "
    "observes: when the file is edited, Dagster shows what was made from it as unsynced.",
    partitions_def=PROMPTS,
    group_name="0_prompts",
    kinds={"yaml"},
    owners=OWNERS,
)


def assets(graph: Graph, cards: str | None = None) -> list[dg.AssetsDefinition]:
    """One asset for every step, in the order of the graph. `cards` is the address where data cards are served, if they
    are: every materialization links to its prompt's."""
    return [_asset(step, graph, cards) for step in graph]


def _asset(step: Step[Any, Any], graph: Graph, cards: str | None) -> dg.AssetsDefinition:
    order = {"dagster/priority": str(priority(step.name, graph))}
    cluster = {CLUSTER: step.placement.cluster} if step.placement.cluster else {}
    checks = [
        dg.AssetCheckSpec(check.name, asset=step.name, description=check.description, blocking=check.blocking)
        for check in step.checks
    ]
    usable = dg.AssetCheckSpec(USABLE, asset=step.name, description=USABLE_DESCRIPTION)

    @dg.asset(
        name=step.name,
        description=step.description,
        partitions_def=PROMPTS,
        deps=dependencies(step, graph),
        code_version=step.version,
        owners=OWNERS,
        group_name=step.group,
        kinds=set(step.kinds),
        pool=step.placement.pool,
        op_tags=order | cluster,
        check_specs=[*checks, usable],
        required_resource_keys={"storage", "annotator", "progress", *step.resources},
    )
    def asset(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        yield _materialize(context, step, graph, cards)

    return asset


def dependencies(step: Step[Any, Any], graph: Graph) -> list[str]:
    """What lineage draws a step from: the prompt file and its inputs.

    Where it reads all others, the nearest of them alone: 18 lines to one box hide the rest.
    """
    inputs = [one.result.step for one in step.inputs]
    return [PROMPT_FILE, *(graph.nearest(inputs) if step.reads_every_step else inputs)]


def priority(name: str, graph: Graph) -> int:
    """Of the steps that could run, the one that stands first in the graph does: cheap gates before expensive steps."""
    return len(graph.steps) - graph.names.index(name)


def _materialize(
    context: dg.AssetExecutionContext, step: Step[Any, Any], graph: Graph, cards: str | None
) -> dg.MaterializeResult[Any]:
    """Makes or finds the output for the partition's prompt.

    Raises `dg.Failure` for what a retry cannot fix, and says so of the run too, which Dagster would start again for any
    failure of a step.
    """
    slug, prompts = context.partition_key, context.resources.storage
    hold(context.instance, context.run.run_id)
    available = context.resources
    resources = Resources(
        progress=available.progress, **{key: getattr(available, key) for key in sorted(step.resources)}
    )
    asked_again = False
    try:
        plan = plan_of_run(context.run, slug, graph, prompts, available.annotator)
        if step.name not in plan:
            asked_again = True  # nothing was asked here: whoever asked before has closed it, or is not the last
            return _not_requested(step, slug)
        wait_for_gates(context, plan, step.name)
        outcome = make_step(step.name, plan, resources)
        stopped = any(check.stops for check in outcome.checks.values())
        asked_again = plan.asks_after(step.name, _selected(context)) and not stopped
    except (PromptError, DamagedStageError, ValueError) as error:  # what a person must correct is a ValueError
        context.instance.add_run_tags(context.run.run_id, NO_RETRIES)
        raise dg.Failure(str(error), allow_retries=False) from error
    finally:
        # Where all steps are one process, a model server would hold the accelerator while the steps after it train.
        # After a failure, and at a gate, those that would have asked are left out; one that does ask starts it again.
        if not asked_again and isinstance(available.annotator, Closable):
            available.annotator.close()
    if stopped:
        context.instance.add_run_tags(context.run.run_id, NO_RETRIES)
    spent = tokens_said(outcome.output) | beside_estimate(outcome.output, slug, prompts.root)
    estimated: dict[str, dg.MetadataValue[Any]] = {title: dg.MetadataValue.md(text) for title, text in spent.items()}
    return dg.MaterializeResult(
        data_version=dg.DataVersion(plan[step.name].digest),
        metadata=card_link(slug, cards) | metadata_of(outcome, step) | estimated,
        check_results=[*_check_results(outcome.checks, slug), _usable(slug)],
    )


def _selected(context: dg.AssetExecutionContext) -> frozenset[str]:
    """Names of the steps that the run was asked for."""
    return frozenset(node.name for node in context.job_def.nodes)


def _not_requested(step: Step[Any, Any], slug: str) -> dg.MaterializeResult[Any]:
    """A prompt that does not ask for a step has no output of it; its partition is filled all the same."""
    passed = [
        dg.AssetCheckResult(check_name=check.name, passed=True, description=f"{slug}: not requested by this prompt")
        for check in step.checks
    ]
    return dg.MaterializeResult(
        data_version=dg.DataVersion(NOT_REQUESTED),
        metadata={"requested": False},
        check_results=[*passed, _usable(slug)],
    )


def metadata_of(outcome: Outcome, step: Step[Any, Any]) -> dict[str, dg.MetadataValue[Any]]:
    """What the UI shows of a finished step: how it looks, where it is, what it holds, what it measured."""
    manifest = outcome.output.manifest
    shown: dict[str, dg.MetadataValue[Any]] = {
        title: dg.MetadataValue.md(text) for title, text in step.describe(outcome.output).items()
    }
    shown |= {
        "path": dg.MetadataValue.path(outcome.output.uri),
        "dagster/row_count": dg.MetadataValue.int(manifest.rows),
        "reused": dg.MetadataValue.bool(outcome.reused),
        "seconds": dg.MetadataValue.float(manifest.seconds),
        "content_digest": dg.MetadataValue.text(manifest.content_digest),
    }
    return shown | {name: _typed(value) for name, value in manifest.metrics.items() if name not in shown}


def _check_results(checks: Mapping[str, CheckResult], slug: str) -> Iterator[dg.AssetCheckResult]:
    """Dagster shows one result a check, whichever prompt came last: so each names its prompt."""
    for name, one in checks.items():
        severe = one.stops or (one.severity == "error" and not one.blocks)  # Dagster stops at an error of a gate
        sample = {"look_at": dg.MetadataValue.md(one.sample.markdown())} if one.sample else {}
        waived = {"waived": one.waived} if one.waived else {}
        figures = {title: _typed(value) for title, value in one.figures.items()}
        yield dg.AssetCheckResult(
            check_name=name,
            passed=one.passed,
            severity=dg.AssetCheckSeverity.ERROR if severe else dg.AssetCheckSeverity.WARN,
            description=f"{slug}: {one.description}{f'; waived: {one.waived}' if one.waived else ''}",
            metadata={**figures, "prompt": slug, "stops_a_run": one.blocks, **waived, **sample},
        )


def _usable(slug: str) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(check_name=USABLE, passed=True, description=f"{slug}: it is")


def card_link(slug: str, cards: str | None) -> dict[str, dg.MetadataValue[Any]]:
    """From every asset to the prompt's card, where cards are served."""
    return {"data card": dg.MetadataValue.url(card_address(cards, slug))} if cards else {}


def _typed(value: Any) -> dg.MetadataValue[Any]:
    match value:
        case None:
            return dg.MetadataValue.null()
        case bool():
            return dg.MetadataValue.bool(value)
        case int():
            return dg.MetadataValue.int(value)
        case float():
            return dg.MetadataValue.float(value)
        case str():
            return dg.MetadataValue.text(value)
    return dg.MetadataValue.json(value)
