"""The stages from an encoder to the documents that are kept."""

from typing import Any

from datashop_assets.prompts.prompt import Prompt
from datashop_assets.stage import Stage


def _scores(_: Prompt) -> dict[str, Any]:
    return {}


def _certificate(_: Prompt) -> dict[str, Any]:
    return {"asked": False}


def _kept(prompt: Prompt) -> dict[str, Any]:
    return {
        "keep": prompt.keep.model_dump(exclude_none=True),
        "slug": prompt.slug,
        "gold": list(prompt.evaluation.gold),
        "gold_uri": prompt.pretraining_pool.uri,
    }


POOL_SCORES = Stage(
    "pool_scores",
    code_version="2",
    inputs=("encoder", "pretraining_pool", "pool_embeddings"),
    config=_scores,
    build="datashop_assets.filtered_pool.score:build",
)
KEEP_CERTIFICATE = Stage(
    "keep_certificate",
    code_version="1",
    inputs=("pool_scores",),
    config=_certificate,
    build="datashop_assets.filtered_pool.certificate:build",
)
FILTERED_POOL = Stage(
    "filtered_pool",
    code_version="3",
    inputs=("pretraining_pool", "pool_tokens", "pool_scores", "keep_certificate"),
    config=_kept,
    build="datashop_assets.filtered_pool.build:build",
)
