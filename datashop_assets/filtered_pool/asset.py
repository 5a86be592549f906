"""From the encoder to the documents that are kept."""

from typing import Any

import dagster as dg

from datashop_assets.dagster_door.materializing import materialize, stage_asset
from datashop_assets.dagster_door.places import ANNOTATOR, SHARDS
from datashop_assets.filtered_pool.stage import FILTERED_POOL, KEEP_CERTIFICATE, POOL_SCORES
from datashop_assets.graph.stage import Tools
from datashop_assets.prompts.store import PromptStore
from datashop_assets.protocols.annotator import Annotator
from datashop_assets.protocols.compute import Compute
from datashop_assets.protocols.progress import Progress


@stage_asset(POOL_SCORES, group="3_filter", kinds={"parquet"}, place=SHARDS)
def pool_scores(
    context: dg.AssetExecutionContext,
    prompts: dg.ResourceParam[PromptStore],
    compute: dg.ResourceParam[Compute],
    progress: dg.ResourceParam[Progress],
) -> dg.MaterializeResult[Any]:
    """The encoder's score of every document of the pool."""
    return materialize(context, POOL_SCORES, prompts, Tools(compute=compute, progress=progress))


@stage_asset(KEEP_CERTIFICATE, group="3_filter", kinds={"json"}, place=ANNOTATOR)
def keep_certificate(
    context: dg.AssetExecutionContext,
    prompts: dg.ResourceParam[PromptStore],
    annotator: dg.ResourceParam[Annotator],
    progress: dg.ResourceParam[Progress],
) -> dg.MaterializeResult[Any]:
    """What the annotator says of documents drawn from the scored pool, or that it was not asked.

    Where a prompt asks for a precision, it is the lowest threshold that the labels certify, or a refusal that says how
    many labels it would take.
    """
    return materialize(context, KEEP_CERTIFICATE, prompts, Tools(annotator=annotator, progress=progress))


@stage_asset(FILTERED_POOL, group="3_filter", kinds={"jsonl", "parquet"}, place=SHARDS)
def filtered_pool(
    context: dg.AssetExecutionContext,
    prompts: dg.ResourceParam[PromptStore],
    compute: dg.ResourceParam[Compute],
    progress: dg.ResourceParam[Progress],
) -> dg.MaterializeResult[Any]:
    """The documents that are kept, by an exact rule, with all their fields and their score.

    Ties are broken by hash. The rule and the counts are in the manifest.
    """
    return materialize(context, FILTERED_POOL, prompts, Tools(compute=compute, progress=progress))
