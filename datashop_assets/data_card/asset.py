"""The page a person reads."""

from typing import Any

import dagster as dg

from datashop_assets.dagster_door.materializing import materialize, stage_asset
from datashop_assets.graph.planning import nearest
from datashop_assets.graph.stage import Tools
from datashop_assets.graph.stages import DATA_CARD
from datashop_assets.prompts.store import PromptStore
from datashop_assets.protocols.progress import Progress


# It reads every stage. Lines from those at the ends are enough: the others are upstream of them.
@stage_asset(DATA_CARD, group="6_card", kinds={"html"}, drawn=nearest(DATA_CARD.inputs))
def data_card(
    context: dg.AssetExecutionContext,
    prompts: dg.ResourceParam[PromptStore],
    progress: dg.ResourceParam[Progress],
) -> dg.MaterializeResult[Any]:
    """One page about this prompt: rubric, funnel, scores, what is kept, the comparison, and documents to read.

    `path` is the page; `documents.html` beside it shows up to 100,000 documents. Both need no network.
    """
    return materialize(context, DATA_CARD, prompts, Tools(progress=progress))
