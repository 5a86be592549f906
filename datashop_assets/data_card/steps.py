"""The last stage: the page a person reads. It reads every other one."""

from collections.abc import Mapping
from typing import Any

from datashop_assets.annotations.results import AnnotationsResult
from datashop_assets.annotator_report.results import AnnotatorReportResult
from datashop_assets.core.step import StepOutput, StepRun, step
from datashop_assets.data_card.results import DataCardResult
from datashop_assets.encoder.results import EncoderResult, PoolEmbeddingsResult
from datashop_assets.evaluation.results import EvaluationResult, EvaluationTargetsResult
from datashop_assets.filtered_pool.results import FilteredPoolResult, KeepCertificateResult, PoolScoresResult
from datashop_assets.prompts.prompt import Prompt
from datashop_assets.rubric.results import RubricResult
from datashop_assets.sources.results import AnnotationSampleResult, PretrainingPoolResult
from datashop_assets.trained_lm.results import (
    ControlLMResult,
    DecontaminationResult,
    MatchedLMResult,
    PoolTokensResult,
    TrainedLMResult,
)
from datashop_assets.training_set.results import TrainingSetResult


def _card(prompt: Prompt) -> dict[str, Any]:
    """All that the prompt says: the card shows every setting. Whether a sensor starts it changes no figure."""
    return prompt.model_dump(mode="json", exclude={"automatic"})


def describe(output: StepOutput[Any]) -> Mapping[str, str]:
    from datashop_assets.data_card.describe import describe

    return describe(output)


@step(
    result=DataCardResult,
    inputs=(
        PretrainingPoolResult,
        AnnotationSampleResult,
        PoolEmbeddingsResult,
        RubricResult,
        AnnotationsResult,
        AnnotatorReportResult,
        TrainingSetResult,
        EncoderResult,
        PoolTokensResult,
        PoolScoresResult,
        KeepCertificateResult,
        FilteredPoolResult,
        DecontaminationResult,
        ControlLMResult,
        MatchedLMResult,
        TrainedLMResult,
        EvaluationTargetsResult,
        EvaluationResult,
    ),
    configure=_card,
    version="4",
    group="6_card",
    kinds={"html"},
    describe=describe,
)
def data_card(run: StepRun[dict[str, Any]]) -> DataCardResult:
    """One page about this prompt: rubric, funnel, scores, what is kept, the comparison, and documents to read.

    `path` is the page; `documents.html` beside it shows up to 100,000 documents. Both need no network.
    """
    from datashop_assets.data_card.build import build

    return DataCardResult.model_validate(build(run))
