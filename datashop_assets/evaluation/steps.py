"""The steps that choose what the comparison is measured on, and measure it."""

from collections.abc import Mapping

from datashop_assets.core.step import ON_ANNOTATOR, ON_TRAINER, Input, StepOutput, StepRun, step
from datashop_assets.costs import budget_limits
from datashop_assets.documents.results import PretrainingPoolResult
from datashop_assets.documents.sources import DocumentSource
from datashop_assets.evaluation.results import (
    EvaluationConfig,
    EvaluationResult,
    EvaluationTargetsConfig,
    EvaluationTargetsResult,
    SensitivityResult,
    TargetScoringConfig,
)
from datashop_assets.prompts.prompt import Prompt
from datashop_assets.rubric.results import RubricResult
from datashop_assets.trained_lm.results import (
    ControlLMResult,
    ControlSecondRateResult,
    MatchedLMResult,
    MatchedSecondRateResult,
    TrainedLMResult,
    TrainedSecondRateResult,
)
from datashop_assets.training_documents.results import PoolTokensResult


def _annotator_chooses(prompt: Prompt) -> bool:
    return prompt.evaluation.targets is None and not prompt.evaluation.gold


def _shows_rubric(prompt: Prompt) -> bool:
    return _annotator_chooses(prompt) and prompt.annotator.question_config.shows_rubric


def _targets(prompt: Prompt) -> EvaluationTargetsConfig:
    wanted, named = prompt.evaluation, prompt.evaluation.targets
    asked = TargetScoringConfig(scoring=prompt.scoring_config, positive_from=prompt.labels.positive_from)
    return EvaluationTargetsConfig(
        targets=DocumentSource.of(named) if named else None,
        gold=wanted.gold,
        gold_uri=prompt.pretraining_pool.uri,
        target_documents=wanted.target_documents,
        general_documents=wanted.general_documents,
        annotator=asked if _annotator_chooses(prompt) else None,
    )


def _evaluation(prompt: Prompt) -> EvaluationConfig:
    return EvaluationConfig(primary=prompt.evaluation.primary)


def _sensitivity(prompt: Prompt) -> EvaluationConfig | None:
    return _evaluation(prompt) if prompt.evaluation.sensitivity else None


def _describe_targets(output: StepOutput[EvaluationTargetsResult]) -> Mapping[str, str]:
    from datashop_assets.evaluation.report import describe_targets

    return describe_targets(output)


def _describe_evaluation(output: StepOutput[EvaluationResult]) -> Mapping[str, str]:
    from datashop_assets.evaluation.report import describe_evaluation

    return describe_evaluation(output)


def _describe_sensitivity(output: StepOutput[SensitivityResult]) -> Mapping[str, str]:
    from datashop_assets.evaluation.report import describe_sensitivity

    return describe_sensitivity(output)


@step(
    result=EvaluationTargetsResult,
    inputs=(PretrainingPoolResult, Input(RubricResult, needed=_shows_rubric)),
    configure=_targets,
    version="3",
    group="5_comparison",
    kinds={"parquet"},
    resources={"annotator", "prices"},
    placement=ON_ANNOTATOR,
    limits=budget_limits,
    asks=lambda config: config.annotator is not None,
    describe=_describe_targets,
)
def evaluation_targets(run: StepRun[EvaluationTargetsConfig]) -> EvaluationTargetsResult:
    """The held-out documents that the comparison is measured on: targets of the prompt, and others.

    Chosen by the prompt's own documents, else by gold labels, else by the annotator, never by the encoder.
    """
    from datashop_assets.evaluation.targets import build

    return build(run)


@step(
    result=EvaluationResult,
    inputs=(
        ControlLMResult,
        Input(MatchedLMResult, needed=lambda prompt: prompt.training.matched_control),
        TrainedLMResult,
        PoolTokensResult,
        EvaluationTargetsResult,
    ),
    configure=_evaluation,
    version="5",
    group="5_comparison",
    kinds={"jax", "parquet"},
    placement=ON_TRAINER,
    describe=_describe_evaluation,
)
def evaluation(run: StepRun[EvaluationConfig]) -> EvaluationResult:
    """Bits per byte of candidate and control on held-out documents, with intervals over seeds.

    The unit of inference is the seed; it is conditional on this annotator, encoder and kept set.
    """
    from datashop_assets.evaluation.comparison import build

    return build(run)


@step(
    result=SensitivityResult,
    inputs=(
        EvaluationResult,
        TrainedLMResult,
        ControlSecondRateResult,
        Input(MatchedSecondRateResult, needed=lambda prompt: prompt.training.matched_control),
        TrainedSecondRateResult,
        PoolTokensResult,
        EvaluationTargetsResult,
    ),
    configure=_sensitivity,
    version="1",
    group="5_comparison",
    kinds={"jax", "parquet"},
    placement=ON_TRAINER,
    describe=_describe_sensitivity,
)
def sensitivity(run: StepRun[EvaluationConfig]) -> SensitivityResult:
    """The verdict at a second learning rate, and where it is another than at the first."""
    from datashop_assets.evaluation.sensitivity import build

    return build(run)
