"""What the steps of this package give."""

from typing import ClassVar

from datashop_assets.annotations.results import AnnotationsResult, AnnotatorReportResult
from datashop_assets.core.step import OpenResult, StepResult
from datashop_assets.documents.results import AnnotationSampleResult, PretrainingPoolResult
from datashop_assets.encoder.results import EncoderResult, PoolEmbeddingsResult
from datashop_assets.evaluation.results import EvaluationResult, EvaluationTargetsResult
from datashop_assets.filtered_pool.results import FilteredPoolResult, KeepCertificateResult, PoolScoresResult
from datashop_assets.rubric.results import RubricResult
from datashop_assets.trained_lm.results import ControlLMResult, MatchedLMResult, TrainedLMResult
from datashop_assets.training_documents.results import DecontaminationResult, PoolTokensResult
from datashop_assets.training_set.results import TrainingSetResult

CARD_INPUTS: tuple[type[StepResult], ...] = (
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
)


class DataCardResult(OpenResult):
    step: ClassVar[str] = "data_card"
