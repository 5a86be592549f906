"""From scores to labels."""

from typing import Any

import dagster as dg

from datashop_assets.dagster_door.materializing import materialize, stage_asset
from datashop_assets.graph.stage import Tools
from datashop_assets.prompts.store import PromptStore
from datashop_assets.training_set.stage import TRAINING_SET


@stage_asset(TRAINING_SET, group="2_annotations", kinds={"parquet"})
def training_set(
    context: dg.AssetExecutionContext, prompts: dg.ResourceParam[PromptStore]
) -> dg.MaterializeResult[Any]:
    """The labels the encoder learns from, with weights and folds.

    A label is positive from a given expected score. Weights undo the second round's uneven draw.
    """
    return materialize(context, TRAINING_SET, prompts, Tools())
