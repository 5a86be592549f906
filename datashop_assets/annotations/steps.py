"""The stage in which the annotator scores the sample."""

from collections.abc import Mapping
from typing import Any

from datashop_assets.annotations.checks import ANNOTATION_CHECKS
from datashop_assets.annotations.question import parsing_of
from datashop_assets.annotations.results import AnnotationsResult
from datashop_assets.core.step import ON_ANNOTATOR, StepOutput, StepRun, step
from datashop_assets.costs import read_prices
from datashop_assets.documents.results import AnnotationSampleResult
from datashop_assets.prompts.prompt import Prompt
from datashop_assets.rubric.results import RubricResult


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
    return {**limits, "price_per_hour": read_prices().of("annotations", budget.hardware)[1].price_per_hour}


def describe(output: StepOutput[Any]) -> Mapping[str, str]:
    from datashop_assets.annotations.describe import describe

    return describe(output)


@step(
    result=AnnotationsResult,
    inputs=(
        AnnotationSampleResult,
        RubricResult,
    ),
    configure=_annotations,
    version="2",
    group="2_annotations",
    kinds={"jax", "parquet"},
    resources={"annotator"},
    placement=ON_ANNOTATOR,
    checks=ANNOTATION_CHECKS,
    limits=_limits,
    describe=describe,
)
def annotations(run: StepRun[dict[str, Any]]) -> AnnotationsResult:
    """What the language model says of each sampled document: a score, how it ended, and the raw reply.

    Every document that was asked is here, also one that got no score. The second round is drawn at random within
    strata of a pilot encoder's score; the probability of each draw is stored.
    """
    from datashop_assets.annotations.build import build

    return AnnotationsResult.model_validate(build(run))
