"""The stage in which the annotator scores the sample."""

from typing import Any

from datashop_assets.annotations.question import parsing_of
from datashop_assets.estimating.prices import prices
from datashop_assets.graph.stage import Stage
from datashop_assets.prompts.prompt import Prompt


def _annotations(prompt: Prompt) -> dict[str, Any]:
    settings = prompt.annotator
    cascade = {"cascade": settings.cascade.config(settings.model)} if settings.cascade else {}
    return {
        **cascade,
        "asked": settings.asked(),
        "parsing": parsing_of(prompt),
        "documents": settings.documents,
        "second_round": settings.second_round.model_dump(),
    }


def _limits(prompt: Prompt) -> dict[str, Any]:
    if (budget := prompt.annotator.budget) is None:
        return {}
    limits = budget.model_dump(include={"tokens", "hours", "money"})
    if budget.money is None:
        return limits
    return {**limits, "price_per_hour": prices().of("annotations", budget.hardware)[1].price_per_hour}


ANNOTATIONS = Stage(
    "annotations",
    code_version="2",
    inputs=("annotation_sample", "rubric"),
    config=_annotations,
    build="datashop_assets.annotations.build:build",
    limits=_limits,
)
