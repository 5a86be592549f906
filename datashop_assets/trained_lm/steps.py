"""The stages that tokenize the pool, decontaminate it, and train the candidate beside its controls."""

from collections.abc import Mapping
from typing import Any

from datashop_assets.core.step import ON_TRAINER, StepOutput, StepRun, step
from datashop_assets.documents.results import PretrainingPoolResult
from datashop_assets.documents.sources import fingerprint
from datashop_assets.filtered_pool.results import FilteredPoolResult
from datashop_assets.prompts.prompt import Prompt
from datashop_assets.prompts.settings import Training
from datashop_assets.trained_lm.checkpoint_names import checkpoint_fingerprint
from datashop_assets.trained_lm.results import (
    ControlLMResult,
    DecontaminationResult,
    MatchedLMResult,
    PoolTokensResult,
    TrainedLMResult,
)

FROM_SCRATCH = {"depth", "query_group", "tied"}  # what a checkpoint settles by itself
OTHERS = {"vocabulary", "anneal_from", "decontamination_words"}  # of other stages, or named by fingerprint


def _tokens(prompt: Prompt) -> dict[str, Any]:
    start = _start(prompt.training)
    return {"checkpoint": start} if start else {"vocabulary": prompt.training.vocabulary}


def _decontamination(prompt: Prompt) -> dict[str, Any]:
    """Held-out documents always count; those that the prompt names besides make a result, and a control, of its own."""
    named = [*prompt.evaluation.benchmarks, *([prompt.evaluation.targets] if prompt.evaluation.targets else [])]
    data = [one.model_dump() for one in named]
    return {
        "ngram": prompt.training.decontamination_words,
        "sets": [{"data": one, "fingerprint": fingerprint(one)} for one in data],
    }


def _control(prompt: Prompt) -> dict[str, Any]:
    start = _start(prompt.training)
    without = OTHERS | {"max_epochs", "matched_control"} | (FROM_SCRATCH if start else set())
    return {**prompt.training.model_dump(exclude=without), "checkpoint": start}


def _candidate(prompt: Prompt) -> dict[str, Any]:
    return {**_control(prompt), "max_epochs": prompt.training.max_epochs}


def _matched(prompt: Prompt) -> dict[str, Any]:
    return _candidate(prompt) if prompt.training.matched_control else {"asked": False}


def _start(training: Training) -> dict[str, Any] | None:
    name = training.anneal_from
    return None if name is None else {"name": name, "fingerprint": checkpoint_fingerprint(name)}


def describe(output: StepOutput[Any]) -> Mapping[str, str]:
    from datashop_assets.trained_lm.describe import describe

    return describe(output)


@step(
    result=PoolTokensResult,
    inputs=(PretrainingPoolResult,),
    configure=_tokens,
    version="3",
    group="4_language_models",
    kinds={"parquet", "tokenizers"},
    describe=describe,
)
def pool_tokens(run: StepRun[dict[str, Any]]) -> PoolTokensResult:
    """The pool as tokens, and the tokenizer, trained on documents that are not held out."""
    from datashop_assets.trained_lm.tokens import build

    return PoolTokensResult.model_validate(build(run))


@step(
    result=DecontaminationResult,
    inputs=(PretrainingPoolResult,),
    configure=_decontamination,
    version="3",
    group="4_language_models",
    kinds={"parquet"},
    resources={"compute"},
    describe=describe,
)
def decontamination(run: StepRun[dict[str, Any]]) -> DecontaminationResult:
    """The training documents that share text with what the models are evaluated on; no model is trained on them."""
    from datashop_assets.trained_lm.decontamination import build

    return DecontaminationResult.model_validate(build(run))


@step(
    result=ControlLMResult,
    inputs=(
        PoolTokensResult,
        DecontaminationResult,
    ),
    configure=_control,
    version="2",
    group="4_language_models",
    kinds={"jax", "safetensors"},
    resources={"trainer"},
    placement=ON_TRAINER,
    describe=describe,
)
def control_lm(run: StepRun[dict[str, Any]]) -> ControlLMResult:
    """Language models trained on the pool as it is, one a seed: what the candidate is compared with.

    It does not depend on the rubric, so prompts with the same training settings share it.
    """
    from datashop_assets.trained_lm.build import build_control

    return ControlLMResult.model_validate(build_control(run))


@step(
    result=MatchedLMResult,
    inputs=(
        FilteredPoolResult,
        PoolTokensResult,
        DecontaminationResult,
    ),
    configure=_matched,
    version="2",
    group="4_language_models",
    kinds={"jax", "safetensors"},
    resources={"trainer"},
    placement=ON_TRAINER,
    describe=describe,
)
def matched_lm(run: StepRun[dict[str, Any]]) -> MatchedLMResult:
    """Language models trained on documents drawn with the kept documents' mix of sources and lengths, one a seed.

    What a filter gives that knows no text: the second thing the candidate is compared with.
    """
    from datashop_assets.trained_lm.build import build_matched

    return MatchedLMResult.model_validate(build_matched(run))


@step(
    result=TrainedLMResult,
    inputs=(
        FilteredPoolResult,
        PoolTokensResult,
        DecontaminationResult,
    ),
    configure=_candidate,
    version="2",
    group="4_language_models",
    kinds={"jax", "safetensors"},
    resources={"trainer"},
    placement=ON_TRAINER,
    describe=describe,
)
def trained_lm(run: StepRun[dict[str, Any]]) -> TrainedLMResult:
    """Language models trained on the pool with a share of the kept documents, one a seed.

    Same start, same steps and, but for that share, the same tokens at the same steps as the control.
    """
    from datashop_assets.trained_lm.build import build_candidate

    return TrainedLMResult.model_validate(build_candidate(run))
