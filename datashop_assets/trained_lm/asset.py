"""The language models that are compared."""

from typing import Any

import dagster as dg

from datashop_assets.dagster_door.materializing import materialize, stage_asset
from datashop_assets.dagster_door.places import TRAINER
from datashop_assets.graph.stage import Tools
from datashop_assets.prompts.store import PromptStore
from datashop_assets.protocols.compute import Compute
from datashop_assets.protocols.progress import Progress
from datashop_assets.protocols.trainer import Trainer
from datashop_assets.trained_lm.stage import CONTROL_LM, DECONTAMINATION, MATCHED_LM, POOL_TOKENS, TRAINED_LM


@stage_asset(POOL_TOKENS, group="4_language_models", kinds={"parquet", "tokenizers"})
def pool_tokens(
    context: dg.AssetExecutionContext,
    prompts: dg.ResourceParam[PromptStore],
    progress: dg.ResourceParam[Progress],
) -> dg.MaterializeResult[Any]:
    """The pool as tokens, and the tokenizer, trained on documents that are not held out."""
    return materialize(context, POOL_TOKENS, prompts, Tools(progress=progress))


@stage_asset(DECONTAMINATION, group="4_language_models", kinds={"parquet"})
def decontamination(
    context: dg.AssetExecutionContext,
    prompts: dg.ResourceParam[PromptStore],
    compute: dg.ResourceParam[Compute],
    progress: dg.ResourceParam[Progress],
) -> dg.MaterializeResult[Any]:
    """The training documents that share text with what the models are evaluated on; no model is trained on them."""
    return materialize(context, DECONTAMINATION, prompts, Tools(compute=compute, progress=progress))


@stage_asset(CONTROL_LM, group="4_language_models", kinds={"jax", "safetensors"}, place=TRAINER)
def control_lm(
    context: dg.AssetExecutionContext,
    prompts: dg.ResourceParam[PromptStore],
    trainer: dg.ResourceParam[Trainer],
    progress: dg.ResourceParam[Progress],
) -> dg.MaterializeResult[Any]:
    """Language models trained on the pool as it is, one a seed: what the candidate is compared with.

    It does not depend on the rubric, so prompts with the same training settings share it.
    """
    return materialize(context, CONTROL_LM, prompts, Tools(trainer=trainer, progress=progress))


@stage_asset(MATCHED_LM, group="4_language_models", kinds={"jax", "safetensors"}, place=TRAINER)
def matched_lm(
    context: dg.AssetExecutionContext,
    prompts: dg.ResourceParam[PromptStore],
    trainer: dg.ResourceParam[Trainer],
    progress: dg.ResourceParam[Progress],
) -> dg.MaterializeResult[Any]:
    """Language models trained on documents drawn with the kept documents' mix of sources and lengths, one a seed.

    What a filter gives that knows no text: the second thing the candidate is compared with.
    """
    return materialize(context, MATCHED_LM, prompts, Tools(trainer=trainer, progress=progress))


@stage_asset(TRAINED_LM, group="4_language_models", kinds={"jax", "safetensors"}, place=TRAINER)
def trained_lm(
    context: dg.AssetExecutionContext,
    prompts: dg.ResourceParam[PromptStore],
    trainer: dg.ResourceParam[Trainer],
    progress: dg.ResourceParam[Progress],
) -> dg.MaterializeResult[Any]:
    """Language models trained on the pool with a share of the kept documents, one a seed.

    Same start, same steps and, but for that share, the same tokens at the same steps as the control.
    """
    return materialize(context, TRAINED_LM, prompts, Tools(trainer=trainer, progress=progress))
