"""How far the annotator can be trusted."""

from typing import Any

import dagster as dg

from datashop_assets.annotator_report.stage import ANNOTATOR_REPORT
from datashop_assets.dagster_door.materializing import materialize, stage_asset
from datashop_assets.dagster_door.places import ANNOTATOR
from datashop_assets.graph.stage import Tools
from datashop_assets.prompts.store import PromptStore
from datashop_assets.protocols.annotator import Annotator
from datashop_assets.protocols.progress import Progress


@stage_asset(ANNOTATOR_REPORT, group="2_annotations", kinds={"json"}, place=ANNOTATOR)
def annotator_report(
    context: dg.AssetExecutionContext,
    prompts: dg.ResourceParam[PromptStore],
    annotator: dg.ResourceParam[Annotator],
    progress: dg.ResourceParam[Progress],
) -> dg.MaterializeResult[Any]:
    """How far the annotator can be trusted: agreement with itself and with a second one, scores by length and source.

    Nothing is made from it. Figures are weighted, so that they describe the whole sample.
    """
    return materialize(context, ANNOTATOR_REPORT, prompts, Tools(annotator=annotator, progress=progress))
