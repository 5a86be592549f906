"""The small model that learns the annotator's scores."""

from typing import Any

import dagster as dg

from datashop_assets.encoder.stage import ENCODER
from datashop_assets.materializing import materialize, stage_asset
from datashop_assets.prompts.store import PromptStore
from datashop_assets.protocols.progress import Progress
from datashop_assets.stage import Tools


@stage_asset(ENCODER, group="3_filter", kinds={"fasttext"})
def encoder(
    context: dg.AssetExecutionContext,
    prompts: dg.ResourceParam[PromptStore],
    progress: dg.ResourceParam[Progress],
) -> dg.MaterializeResult[Any]:
    """A fastText classifier that scores a document as the annotator would, with a report on labels it has not seen.

    Beside every figure stands what length alone and source alone would reach.
    """
    return materialize(context, ENCODER, prompts, Tools(progress=progress))
