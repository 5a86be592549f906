"""Whether the rubric helped."""

from typing import Any

import dagster as dg

from datashop_assets.dagster_door.materializing import materialize, stage_asset
from datashop_assets.dagster_door.places import ANNOTATOR, TRAINER
from datashop_assets.evaluation.stage import EVALUATION, EVALUATION_TARGETS
from datashop_assets.graph.stage import Tools
from datashop_assets.prompts.store import PromptStore
from datashop_assets.protocols.annotator import Annotator
from datashop_assets.protocols.progress import Progress


@stage_asset(EVALUATION_TARGETS, group="5_comparison", kinds={"parquet"}, place=ANNOTATOR)
def evaluation_targets(
    context: dg.AssetExecutionContext,
    prompts: dg.ResourceParam[PromptStore],
    annotator: dg.ResourceParam[Annotator],
    progress: dg.ResourceParam[Progress],
) -> dg.MaterializeResult[Any]:
    """The held-out documents that the comparison is measured on: targets of the prompt, and others.

    Chosen by the prompt's own documents, else by gold labels, else by the annotator, never by the encoder.
    """
    return materialize(context, EVALUATION_TARGETS, prompts, Tools(annotator=annotator, progress=progress))


@stage_asset(EVALUATION, group="5_comparison", kinds={"jax", "parquet"}, place=TRAINER)
def evaluation(
    context: dg.AssetExecutionContext,
    prompts: dg.ResourceParam[PromptStore],
    progress: dg.ResourceParam[Progress],
) -> dg.MaterializeResult[Any]:
    """Bits per byte of candidate and control on held-out documents, with intervals over seeds.

    The unit of inference is the seed; it is conditional on this annotator, encoder and kept set.
    """
    return materialize(context, EVALUATION, prompts, Tools(progress=progress))
