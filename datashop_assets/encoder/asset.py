"""The small model that learns the annotator's scores, and the vectors that one kind of it reads."""

from typing import Any

import dagster as dg

from datashop_assets.dagster_door.materializing import materialize, stage_asset
from datashop_assets.dagster_door.places import SHARDS
from datashop_assets.encoder.stage import ENCODER, POOL_EMBEDDINGS
from datashop_assets.graph.stage import Tools
from datashop_assets.prompts.store import PromptStore
from datashop_assets.protocols.compute import Compute
from datashop_assets.protocols.progress import Progress


@stage_asset(ENCODER, group="3_filter", kinds={"fasttext", "jax"})
def encoder(
    context: dg.AssetExecutionContext,
    prompts: dg.ResourceParam[PromptStore],
    progress: dg.ResourceParam[Progress],
) -> dg.MaterializeResult[Any]:
    """A small model that scores a document as the annotator would, with a report on labels it has not seen.

    fastText, a BERT-type transformer, or a head on static embeddings, as the prompt says.

    Beside every figure stands what length alone and source alone would reach.
    """
    return materialize(context, ENCODER, prompts, Tools(progress=progress))


@stage_asset(POOL_EMBEDDINGS, group="3_filter", kinds={"numpy"}, place=SHARDS)
def pool_embeddings(
    context: dg.AssetExecutionContext,
    prompts: dg.ResourceParam[PromptStore],
    compute: dg.ResourceParam[Compute],
    progress: dg.ResourceParam[Progress],
) -> dg.MaterializeResult[Any]:
    """A vector for every document of the pool, made once for all prompts whose encoder reads vectors."""
    return materialize(context, POOL_EMBEDDINGS, prompts, Tools(compute=compute, progress=progress))
