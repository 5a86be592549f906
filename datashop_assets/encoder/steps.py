"""The stages that train the small model and that embed the pool once for all prompts that score by vectors."""

from collections.abc import Mapping
from typing import Any

from datashop_assets.core.step import ON_SHARDS, StepOutput, StepRun, step
from datashop_assets.documents.results import PretrainingPoolResult
from datashop_assets.encoder.base_model import fingerprint
from datashop_assets.encoder.checks import ENCODER_CHECKS
from datashop_assets.encoder.results import EncoderResult, PoolEmbeddingsResult
from datashop_assets.prompts.prompt import Prompt
from datashop_assets.protocols.encoder import TextScorer
from datashop_assets.training_set.results import TrainingSetResult


def _model(prompt: Prompt) -> dict[str, Any]:
    """What tells that the pretrained model has changed, for kinds that begin with one."""
    match prompt.encoder.kind:
        case "transformer":
            return {"fingerprint": fingerprint(prompt.encoder.transformer.model)}
        case "static":
            return {"fingerprint": fingerprint(prompt.encoder.static.model)}
    return {}


def _encoder(prompt: Prompt) -> dict[str, Any]:
    return {
        **prompt.encoder.config(),
        **_model(prompt),
        "read_characters": prompt.annotator.read_characters,
        "reading": prompt.annotator.reading,
        "gold": list(prompt.evaluation.gold),
        "gold_uri": prompt.pretraining_pool.uri,
    }


def _embeddings(prompt: Prompt) -> dict[str, Any]:
    """Depends on the embedding and on what is read of a text, on nothing else of the prompt."""
    if prompt.encoder.kind != "static":
        return {"asked": False}
    model = prompt.encoder.static.model
    read = {"read_characters": prompt.annotator.read_characters, "reading": prompt.annotator.reading}
    return {"asked": True, "model": model, "fingerprint": fingerprint(model), **read}


def load_scorer(output: StepOutput[Any]) -> TextScorer:
    from datashop_assets.encoder.trained import load

    return load(output)


def describe(output: StepOutput[Any]) -> Mapping[str, str]:
    from datashop_assets.encoder.describe import describe

    return describe(output)


@step(
    result=PoolEmbeddingsResult,
    inputs=(PretrainingPoolResult,),
    configure=_embeddings,
    version="1",
    group="3_filter",
    kinds={"numpy"},
    resources={"compute"},
    placement=ON_SHARDS,
    describe=describe,
)
def pool_embeddings(run: StepRun[dict[str, Any]]) -> PoolEmbeddingsResult:
    """A vector for every document of the pool, made once for all prompts whose encoder reads vectors."""
    from datashop_assets.encoder.embeddings import build

    return PoolEmbeddingsResult.model_validate(build(run))


@step(
    result=EncoderResult,
    inputs=(
        TrainingSetResult,
        PretrainingPoolResult,
    ),
    configure=_encoder,
    version="4",
    group="3_filter",
    kinds={"fasttext", "jax"},
    checks=ENCODER_CHECKS,
    load_scorer=load_scorer,
    describe=describe,
)
def encoder(run: StepRun[dict[str, Any]]) -> EncoderResult:
    """A small model that scores a document as the annotator would, with a report on labels it has not seen.

    fastText, a BERT-type transformer, or a head on static embeddings, as the prompt says.

    Beside every figure stands what length alone and source alone would reach.
    """
    from datashop_assets.encoder.build import build

    return EncoderResult.model_validate(build(run))
