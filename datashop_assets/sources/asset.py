"""The documents there are: the pool, and the sample that the annotator reads."""

from typing import Any

import dagster as dg

from datashop_assets.dagster_door.materializing import materialize, stage_asset
from datashop_assets.graph.stage import Tools
from datashop_assets.prompts.store import PromptStore
from datashop_assets.protocols.compute import Compute
from datashop_assets.protocols.progress import Progress
from datashop_assets.sources.stage import ANNOTATION_SAMPLE, PRETRAINING_POOL


@stage_asset(PRETRAINING_POOL, group="1_documents", kinds={"parquet"})
def pretraining_pool(
    context: dg.AssetExecutionContext,
    prompts: dg.ResourceParam[PromptStore],
    compute: dg.ResourceParam[Compute],
    progress: dg.ResourceParam[Progress],
) -> dg.MaterializeResult[Any]:
    """Every document of the pool, indexed: where it stands, how long it is, and on which side of the held-out split.

    The documents stay where they are. A row that is no document is counted with its reason. Documents held out for
    evaluation, and near duplicates of them, are set aside by hash, the same ones for every prompt.
    """
    return materialize(context, PRETRAINING_POOL, prompts, Tools(compute=compute, progress=progress))


@stage_asset(ANNOTATION_SAMPLE, group="1_documents", kinds={"parquet"})
def annotation_sample(
    context: dg.AssetExecutionContext,
    prompts: dg.ResourceParam[PromptStore],
    compute: dg.ResourceParam[Compute],
    progress: dg.ResourceParam[Progress],
) -> dg.MaterializeResult[Any]:
    """The documents that may be annotated, drawn by hash, none of them held out.

    The draw does not depend on the rubric: prompts over the same documents share one sample.
    """
    return materialize(context, ANNOTATION_SAMPLE, prompts, Tools(compute=compute, progress=progress))
