"""The stage that turns scores into labels."""

from collections.abc import Mapping
from typing import Any

from datashop_assets.annotations.results import AnnotationsResult
from datashop_assets.core.step import StepOutput, StepRun, step
from datashop_assets.prompts.prompt import Prompt
from datashop_assets.training_set.results import TrainingSetResult


def _training_set(prompt: Prompt) -> dict[str, Any]:
    return prompt.labels.model_dump()


def describe(output: StepOutput[Any]) -> Mapping[str, str]:
    from datashop_assets.training_set.describe import describe

    return describe(output)


@step(
    result=TrainingSetResult,
    inputs=(AnnotationsResult,),
    configure=_training_set,
    version="1",
    group="2_annotations",
    kinds={"parquet"},
    describe=describe,
)
def training_set(run: StepRun[dict[str, Any]]) -> TrainingSetResult:
    """The labels the encoder learns from, with weights and folds.

    A label is positive from a given expected score. Weights undo the second round's uneven draw.
    """
    from datashop_assets.training_set.build import build

    return TrainingSetResult.model_validate(build(run))
