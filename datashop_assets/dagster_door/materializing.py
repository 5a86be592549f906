"""What all assets have in common: their settings, and how one stage becomes one materialization."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import dagster as dg

from datashop_assets.cards import card_address
from datashop_assets.dagster_door.places import HERE, Place
from datashop_assets.dagster_door.run_locks import hold
from datashop_assets.estimating.beside import beside
from datashop_assets.estimating.spent import seconds_spent
from datashop_assets.graph.describing import described
from datashop_assets.graph.planning import Plan, Planned, State, plan
from datashop_assets.graph.running import Outcome, run_stage
from datashop_assets.graph.stage import Stage, Tools
from datashop_assets.partitions import PROMPTS
from datashop_assets.prompts.errors import PromptError
from datashop_assets.prompts.store import PromptStore
from datashop_assets.storage.stage_folder import DamagedStageError

OWNERS = ["team:datashop"]


def stage_asset(
    stage: Stage, group: str, kinds: set[str], place: Place = HERE, drawn: Sequence[str] | None = None
) -> Callable[[Callable[..., dg.MaterializeResult[Any]]], dg.AssetsDefinition]:
    """`@dg.asset` with what follows from a stage's declaration: partitions, dependencies, code version, place.

    `drawn` are the inputs that lineage draws a line from, where that is not all of them.
    """
    return dg.asset(
        name=stage.name,
        partitions_def=PROMPTS,
        deps=list(stage.inputs if drawn is None else drawn),
        code_version=stage.code_version,
        owners=OWNERS,
        group_name=group,
        kinds=kinds,
        pool=place.pool,
        op_tags=place.tags,
    )


def materialize(
    context: dg.AssetExecutionContext, stage: Stage, prompts: PromptStore, tools: Tools
) -> dg.MaterializeResult[Any]:
    """Makes or finds the stage of the partition's prompt. Raises `dg.Failure` for what a retry cannot mend."""
    slug = context.partition_key
    hold(context.instance, context.run.run_id)
    try:
        planned = plan(prompts.load(slug), prompts.root)
        _inputs_are_there(planned[stage.name], planned, slug)
        outcome = run_stage(stage.name, planned, slug, prompts.root, tools)
    except (PromptError, DamagedStageError, ValueError) as error:  # rooms say with ValueError what a person must mend
        raise dg.Failure(str(error), allow_retries=False) from error
    digest = dg.DataVersion(planned[stage.name].digest)
    spent = beside(slug, stage.name, prompts.root, outcome.output.metrics, seconds_spent(outcome.output))
    estimated: dict[str, dg.MetadataValue[Any]] = {title: dg.MetadataValue.md(text) for title, text in spent.items()}
    return dg.MaterializeResult(data_version=digest, metadata=_link(slug) | metadata_of(outcome, stage) | estimated)


def metadata_of(outcome: Outcome, stage: Stage) -> dict[str, dg.MetadataValue[Any]]:
    """What the UI shows of a finished stage: how it looks, where it is, what it holds, what it measured."""
    manifest = outcome.output.manifest
    shown: dict[str, dg.MetadataValue[Any]] = {
        title: dg.MetadataValue.md(text) for title, text in described(outcome.output, stage).items()
    }
    shown |= {
        "path": dg.MetadataValue.path(outcome.output.uri),
        "dagster/row_count": dg.MetadataValue.int(manifest.rows),
        "reused": dg.MetadataValue.bool(outcome.reused),
        "seconds": dg.MetadataValue.float(manifest.seconds),
        "content_digest": dg.MetadataValue.text(manifest.content_digest),
    }
    return shown | {name: _typed(value) for name, value in manifest.metrics.items() if name not in shown}


def _link(slug: str) -> dict[str, dg.MetadataValue[Any]]:
    """From every asset to the prompt's card, where cards are served."""
    address = card_address(slug)
    return {"data card": dg.MetadataValue.url(address)} if address else {}


def _inputs_are_there(wanted: Planned, planned: Plan, slug: str) -> None:
    absent = [name for name in wanted.stage.inputs if not planned[name].usable]
    if absent and wanted.state is not State.CURRENT:
        raise dg.Failure(
            f"{wanted.stage.name} of {slug!r} is made from {_listed(absent, planned)}; "
            f"materialize {', '.join(absent)} for {slug!r} first, or select them together with {wanted.stage.name}",
            allow_retries=False,
        )


def _listed(names: Iterable[str], planned: Plan) -> str:
    says = {
        State.MISSING: "has never been made",
        State.STALE: "was made before the prompt, its sources or code changed",
    }
    return " and ".join(f"{name}, which {says[planned[name].state]}" for name in names)


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
