"""The stages that choose what the comparison is measured on, and measure it."""

from collections.abc import Mapping
from typing import Any

from datashop_assets.core.step import ON_ANNOTATOR, ON_TRAINER, Input, StepOutput, StepRun, step
from datashop_assets.documents.results import PretrainingPoolResult
from datashop_assets.documents.sources import fingerprint
from datashop_assets.evaluation.results import EvaluationResult, EvaluationTargetsResult
from datashop_assets.prompts.prompt import Prompt
from datashop_assets.rubric.results import RubricResult
from datashop_assets.trained_lm.results import ControlLMResult, MatchedLMResult, PoolTokensResult, TrainedLMResult


def _targets(prompt: Prompt) -> dict[str, Any]:
    wanted = prompt.evaluation
    named = wanted.targets.model_dump() if wanted.targets else None
    by_annotator = _chosen_by_annotator(prompt)
    return {
        "targets": named and {"data": named, "fingerprint": fingerprint(named)},
        "gold": list(wanted.gold),
        "gold_uri": prompt.pretraining_pool.uri,
        "target_documents": wanted.target_documents,
        "general_documents": wanted.general_documents,
        "annotator": prompt.scoring_config.model_dump(mode="json") if by_annotator else None,
        "positive_from": prompt.labels.positive_from if by_annotator else None,
    }


def _chosen_by_annotator(prompt: Prompt) -> bool:
    return prompt.evaluation.targets is None and not prompt.evaluation.gold


def _shows_rubric(prompt: Prompt) -> bool:
    return _chosen_by_annotator(prompt) and prompt.annotator.question_config.shows_rubric


def _evaluation(prompt: Prompt) -> dict[str, Any]:
    return {"primary": prompt.evaluation.primary.model_dump()}


def describe(output: StepOutput[Any]) -> Mapping[str, str]:
    from datashop_assets.evaluation.describe import describe

    return describe(output)


@step(
    result=EvaluationTargetsResult,
    inputs=(
        PretrainingPoolResult,
        Input(RubricResult, needed=_shows_rubric),
    ),
    configure=_targets,
    version="3",
    group="5_comparison",
    kinds={"parquet"},
    resources={"annotator"},
    placement=ON_ANNOTATOR,
    describe=describe,
)
def evaluation_targets(run: StepRun[dict[str, Any]]) -> EvaluationTargetsResult:
    """The held-out documents that the comparison is measured on: targets of the prompt, and others.

    Chosen by the prompt's own documents, else by gold labels, else by the annotator, never by the encoder.
    """
    from datashop_assets.evaluation.targets import build

    return EvaluationTargetsResult.model_validate(build(run))


@step(
    result=EvaluationResult,
    inputs=(
        ControlLMResult,
        MatchedLMResult,
        TrainedLMResult,
        PoolTokensResult,
        EvaluationTargetsResult,
    ),
    configure=_evaluation,
    version="3",
    group="5_comparison",
    kinds={"jax", "parquet"},
    placement=ON_TRAINER,
    describe=describe,
)
def evaluation(run: StepRun[dict[str, Any]]) -> EvaluationResult:
    """Bits per byte of candidate and control on held-out documents, with intervals over seeds.

    The unit of inference is the seed; it is conditional on this annotator, encoder and kept set.
    """
    from datashop_assets.evaluation.build import build

    return EvaluationResult.model_validate(build(run))
