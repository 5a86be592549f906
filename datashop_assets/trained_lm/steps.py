"""The steps that train candidate and controls; where a prompt asks for it, all again at a second learning rate."""

from collections.abc import Mapping
from typing import TypeVar

from datashop_assets.core.step import ON_TRAINER, StepOutput, StepRun, step
from datashop_assets.documents.results import PretrainingPoolResult
from datashop_assets.filtered_pool.results import FilteredPoolResult
from datashop_assets.prompts.prompt import Prompt
from datashop_assets.trained_lm.results import (
    CandidateConfig,
    ControlConfig,
    ControlLMResult,
    ControlSecondRateResult,
    MatchedLMResult,
    MatchedSecondRateResult,
    TrainedLMResult,
    TrainedSecondRateResult,
)
from datashop_assets.training_documents.results import DecontaminationResult, PoolTokensResult
from datashop_assets.training_documents.settings import (
    Checkpoint,
    TrainingSettings,
)

LMConfigT = TypeVar("LMConfigT", bound=ControlConfig)
OWN_INPUTS = (PretrainingPoolResult, FilteredPoolResult, PoolTokensResult, DecontaminationResult)


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


def _control_second_rate(prompt: Prompt) -> ControlConfig | None:
    return _at_second_rate(_control(prompt)) if prompt.evaluation.sensitivity else None


def _candidate_second_rate(prompt: Prompt) -> CandidateConfig | None:
    return _at_second_rate(_candidate(prompt)) if prompt.evaluation.sensitivity else None


def _matched_second_rate(prompt: Prompt) -> CandidateConfig | None:
    return _candidate_second_rate(prompt) if prompt.training.matched_control else None


def _at_second_rate(config: LMConfigT) -> LMConfigT:
    return config.model_copy(update={"settings": config.settings.at_second_rate()})


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

    return build_control(run, ControlLMResult)


@step(
    result=MatchedLMResult,
    inputs=OWN_INPUTS,
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

    return build_matched(run, MatchedLMResult)


@step(
    result=TrainedLMResult,
    inputs=OWN_INPUTS,
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

    return build_candidate(run, TrainedLMResult)


@step(
    result=ControlSecondRateResult,
    inputs=(PoolTokensResult,),
    configure=_control_second_rate,
    version="1",
    group="4_language_models",
    kinds={"jax", "safetensors"},
    resources={"trainer"},
    placement=ON_TRAINER,
    describe=_describe_control,
)
def control_lm_second_rate(run: StepRun[ControlConfig]) -> ControlSecondRateResult:
    """The control again at a second learning rate, a third of the prompt's. Prompts with the same settings share it."""
    from datashop_assets.trained_lm.models import build_control

    return build_control(run, ControlSecondRateResult)


@step(
    result=MatchedSecondRateResult,
    inputs=OWN_INPUTS,
    configure=_matched_second_rate,
    version="1",
    group="4_language_models",
    kinds={"jax", "safetensors"},
    resources={"trainer", "compute"},
    placement=ON_TRAINER,
    describe=_describe_own,
)
def matched_lm_second_rate(run: StepRun[CandidateConfig]) -> MatchedSecondRateResult:
    """The matched control again at a second learning rate, on the documents that it reads at the first."""
    from datashop_assets.trained_lm.models import build_matched

    return build_matched(run, MatchedSecondRateResult)


@step(
    result=TrainedSecondRateResult,
    inputs=OWN_INPUTS,
    configure=_candidate_second_rate,
    version="1",
    group="4_language_models",
    kinds={"jax", "safetensors"},
    resources={"trainer", "compute"},
    placement=ON_TRAINER,
    describe=_describe_own,
)
def trained_lm_second_rate(run: StepRun[CandidateConfig]) -> TrainedSecondRateResult:
    """The candidate again at a second learning rate, on the documents that it reads at the first."""
    from datashop_assets.trained_lm.models import build_candidate

    return build_candidate(run, TrainedSecondRateResult)
