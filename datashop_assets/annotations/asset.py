"""The annotator's answers."""

from typing import Any

import dagster as dg

from datashop_assets.annotations.stage import ANNOTATIONS
from datashop_assets.dagster_door.materializing import materialize, stage_asset
from datashop_assets.dagster_door.places import ANNOTATOR
from datashop_assets.graph.stage import Tools
from datashop_assets.prompts.store import PromptStore
from datashop_assets.protocols.annotator import Annotator
from datashop_assets.protocols.progress import Progress


@stage_asset(ANNOTATIONS, group="2_annotations", kinds={"jax", "parquet"}, place=ANNOTATOR)
def annotations(
    context: dg.AssetExecutionContext,
    prompts: dg.ResourceParam[PromptStore],
    annotator: dg.ResourceParam[Annotator],
    progress: dg.ResourceParam[Progress],
) -> dg.MaterializeResult[Any]:
    """What the language model says of each sampled document: a score, how it ended, and the raw reply.

    Every document that was asked is here, also one that got no score. The second round is drawn at random within
    strata of a pilot encoder's score; the probability of each draw is stored.
    """
    return materialize(context, ANNOTATIONS, prompts, Tools(annotator=annotator, progress=progress))
