"""From the encoder to the documents that are kept."""

from typing import Any

import dagster as dg

from datashop_assets.filtered_pool.stage import FILTERED_POOL, KEEP_CERTIFICATE, POOL_SCORES
from datashop_assets.materializing import materialize, stage_asset
from datashop_assets.prompts.store import PromptStore
from datashop_assets.protocols.compute import Compute
from datashop_assets.protocols.progress import Progress
from datashop_assets.stage import Tools


@stage_asset(POOL_SCORES, group="3_filter", kinds={"parquet"})
def pool_scores(
    context: dg.AssetExecutionContext,
    prompts: dg.ResourceParam[PromptStore],
    compute: dg.ResourceParam[Compute],
    progress: dg.ResourceParam[Progress],
) -> dg.MaterializeResult[Any]:
    """The encoder's score of every document of the pool."""
    return materialize(context, POOL_SCORES, prompts, Tools(compute=compute, progress=progress))


@stage_asset(KEEP_CERTIFICATE, group="3_filter", kinds={"json"})
def keep_certificate(
    context: dg.AssetExecutionContext, prompts: dg.ResourceParam[PromptStore]
) -> dg.MaterializeResult[Any]:
    """What the annotator says of documents near the keep threshold, or that it was not asked."""
    return materialize(context, KEEP_CERTIFICATE, prompts, Tools())


@stage_asset(FILTERED_POOL, group="3_filter", kinds={"jsonl", "parquet"})
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
