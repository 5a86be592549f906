"""The steps that index evaluation documents, and draw and tokenize what language models read of the pool."""

from collections.abc import Mapping

from datashop_assets.core.step import StepOutput, StepRun, step
from datashop_assets.documents.results import PretrainingPoolResult
from datashop_assets.documents.sources import DocumentSource
from datashop_assets.prompts.prompt import Prompt
from datashop_assets.training_documents.results import DecontaminationResult, PoolTokensResult
from datashop_assets.training_documents.settings import (
    Checkpoint,
    DecontaminationConfig,
    PoolTokensConfig,
    TrainingSettings,
)


def _decontamination(prompt: Prompt) -> DecontaminationConfig:
    """Held-out documents always count; those that the prompt names besides make a result, and a control, of its own."""
    named = [*prompt.evaluation.benchmarks, *([prompt.evaluation.targets] if prompt.evaluation.targets else [])]
    sets = tuple(DocumentSource.of(data) for data in named)
    return DecontaminationConfig(ngram=prompt.training.decontamination_words, sets=sets)


def _tokens(prompt: Prompt) -> PoolTokensConfig:
    settings, checkpoint = TrainingSettings.of(prompt.training), Checkpoint.of(prompt.training)
    return PoolTokensConfig(
        vocabulary=None if checkpoint else prompt.training.vocabulary,
        checkpoint=checkpoint,
        seeds=settings.seeds,
        shared_tokens=settings.tokens - settings.own_tokens,
        own_tokens=settings.own_tokens,
        filtered_share=settings.filtered_share,
    )


def _describe_decontamination(output: StepOutput[DecontaminationResult]) -> Mapping[str, str]:
    from datashop_assets.training_documents import describe

    return describe.decontamination(output)


def _describe_tokens(output: StepOutput[PoolTokensResult]) -> Mapping[str, str]:
    from datashop_assets.training_documents import describe

    return describe.pool_tokens(output)


@step(
    result=DecontaminationResult,
    inputs=(PretrainingPoolResult,),
    configure=_decontamination,
    version="4",
    group="4_language_models",
    kinds={"parquet"},
    describe=_describe_decontamination,
)
def decontamination(run: StepRun[DecontaminationConfig]) -> DecontaminationResult:
    """The n-grams of all documents that models are evaluated on; what shares one is trained on by no model."""
    from datashop_assets.training_documents.decontamination import build

    return build(run)


@step(
    result=PoolTokensResult,
    inputs=(PretrainingPoolResult, DecontaminationResult),
    configure=_tokens,
    version="4",
    group="4_language_models",
    kinds={"parquet", "tokenizers"},
    resources={"compute"},
    describe=_describe_tokens,
)
def pool_tokens(run: StepRun[PoolTokensConfig]) -> PoolTokensResult:
    """The tokenizer, and the random documents of the pool that language models are trained on, as tokens.

    Drawn by hash, as many as the runs read; what is near a held-out document or shares text with one is left out.
    """
    from datashop_assets.training_documents.tokens import build

    return build(run)
