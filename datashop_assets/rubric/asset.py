"""What is asked of every document."""

from typing import Any

import dagster as dg

from datashop_assets.dagster_door.materializing import materialize, stage_asset
from datashop_assets.dagster_door.places import ANNOTATOR
from datashop_assets.graph.stage import Tools
from datashop_assets.prompts.store import PromptStore
from datashop_assets.protocols.annotator import Annotator
from datashop_assets.protocols.progress import Progress
from datashop_assets.rubric.stage import RUBRIC


@stage_asset(RUBRIC, group="2_annotations", kinds={"text"}, place=ANNOTATOR)
def rubric(
    context: dg.AssetExecutionContext,
    prompts: dg.ResourceParam[PromptStore],
    annotator: dg.ResourceParam[Annotator],
    progress: dg.ResourceParam[Progress],
) -> dg.MaterializeResult[Any]:
    """The rubric as it will be used, with `{example}` where the document goes.

    It is given in the prompt file, or the annotator writes it from target documents.
    """
    return materialize(context, RUBRIC, prompts, Tools(annotator=annotator, progress=progress))
