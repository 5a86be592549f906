"""What is asked of every document."""

from typing import Any

import dagster as dg

from datashop_assets.materializing import materialize, stage_asset
from datashop_assets.prompts.store import PromptStore
from datashop_assets.rubric.stage import RUBRIC
from datashop_assets.stage import Tools


@stage_asset(RUBRIC, group="2_annotations", kinds={"text"})
def rubric(context: dg.AssetExecutionContext, prompts: dg.ResourceParam[PromptStore]) -> dg.MaterializeResult[Any]:
    """The rubric as it will be used, with `{example}` where the document goes."""
    return materialize(context, RUBRIC, prompts, Tools())
