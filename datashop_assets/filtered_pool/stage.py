"""The stages from an encoder to the documents that are kept."""

from typing import Any

from datashop_assets.annotations.question import parsing_of
from datashop_assets.graph.stage import Stage
from datashop_assets.prompts.prompt import Prompt


def _scores(_: Prompt) -> dict[str, Any]:
    return {}


def _certificate(prompt: Prompt) -> dict[str, Any]:
    if prompt.keep.precision is None:
        return {"asked": False}
    return {
        "asked": True,
        "keep": prompt.keep.rule(),
        "annotator": {"asked": prompt.annotator.asked(), "parsing": parsing_of(prompt)},
        "positive_from": prompt.labels.positive_from,
    }


def _kept(prompt: Prompt) -> dict[str, Any]:
    return {
        "keep": prompt.keep.rule(),
        "format": prompt.keep.format,
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
    code_version="3",
    inputs=("pretraining_pool", "annotations", "rubric", "pool_scores"),
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
