"""The steps that index evaluation documents, tokenize the pool, and train the candidate beside its controls."""

from collections.abc import Mapping

from datashop_assets.core.step import ON_TRAINER, StepOutput, StepRun, step
from datashop_assets.documents.results import PretrainingPoolResult
from datashop_assets.filtered_pool.results import FilteredPoolResult
from datashop_assets.prompts.prompt import Prompt
from datashop_assets.trained_lm.results import (
    CandidateConfig,
    ControlConfig,
    ControlLMResult,
    MatchedLMResult,
    TrainedLMResult,
)
from datashop_assets.training_documents.results import DecontaminationResult, PoolTokensResult
from datashop_assets.training_documents.settings import (
    Checkpoint,
    TrainingSettings,
)


def _control(prompt: Prompt) -> ControlConfig:
    return ControlConfig(settings=TrainingSettings.of(prompt.training), checkpoint=Checkpoint.of(prompt.training))


def _candidate(prompt: Prompt) -> CandidateConfig:
    return CandidateConfig(
        settings=TrainingSettings.of(prompt.training),
        checkpoint=Checkpoint.of(prompt.training),
        max_epochs=prompt.training.max_epochs,
    )


def _matched(prompt: Prompt) -> CandidateConfig | None:
    return _candidate(prompt) if prompt.training.matched_control else None


def _describe_control(output: StepOutput[ControlLMResult]) -> Mapping[str, str]:
    from datashop_assets.trained_lm import describe

    return describe.models(output)


def _describe_own(output: StepOutput[TrainedLMResult] | StepOutput[MatchedLMResult]) -> Mapping[str, str]:
    from datashop_assets.trained_lm import describe

    return describe.own_models(output)


@step(
    result=ControlLMResult,
    inputs=(PoolTokensResult,),
    configure=_control,
    version="3",
    group="4_language_models",
    kinds={"jax", "safetensors"},
    resources={"trainer"},
    placement=ON_TRAINER,
    describe=_describe_control,
)
def control_lm(run: StepRun[ControlConfig]) -> ControlLMResult:
    """Language models trained on the pool as it is, one a seed: what the candidate is compared with.

    It does not depend on the rubric, so prompts with the same training settings share it.
    """
    from datashop_assets.trained_lm.models import build_control

    return build_control(run)


@step(
    result=MatchedLMResult,
    inputs=(PretrainingPoolResult, FilteredPoolResult, PoolTokensResult, DecontaminationResult),
    configure=_matched,
    version="3",
    group="4_language_models",
    kinds={"jax", "safetensors"},
    resources={"trainer", "compute"},
    placement=ON_TRAINER,
    describe=_describe_own,
)
def matched_lm(run: StepRun[CandidateConfig]) -> MatchedLMResult:
    """Language models trained on documents drawn with the kept documents' mix of sources and lengths, one a seed.

    What a filter gives that knows no text: the second thing the candidate is compared with.
    """
    from datashop_assets.trained_lm.models import build_matched

    return build_matched(run)


@step(
    result=TrainedLMResult,
    inputs=(PretrainingPoolResult, FilteredPoolResult, PoolTokensResult, DecontaminationResult),
    configure=_candidate,
    version="3",
    group="4_language_models",
    kinds={"jax", "safetensors"},
    resources={"trainer", "compute"},
    placement=ON_TRAINER,
    describe=_describe_own,
)
def trained_lm(run: StepRun[CandidateConfig]) -> TrainedLMResult:
    """Language models trained on the pool with a share of the kept documents, one a seed.

    Same start, same steps and, but for that share, the same tokens at the same steps as the control.
    """
    from datashop_assets.trained_lm.models import build_candidate

    return build_candidate(run)
