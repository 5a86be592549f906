"""The steps that train the small model, and that embed the pool once for all prompts that score by vectors."""

from collections.abc import Mapping

from datashop_assets.core.step import ON_SHARDS, Input, StepOutput, StepRun, step
from datashop_assets.documents.results import PretrainingPoolResult
from datashop_assets.encoder.checks import ENCODER_CHECKS
from datashop_assets.encoder.results import (
    OUT_OF_FOLD,
    PRECISION_RECALL,
    RELIABILITY,
    REPORT,
    EncoderResult,
    EncoderStepConfig,
    PoolEmbeddingsConfig,
    PoolEmbeddingsResult,
)
from datashop_assets.encoder_kinds.kinds import fingerprint, pretrained_folder
from datashop_assets.prompts.prompt import Prompt
from datashop_assets.protocols.encoder import TextScorer
from datashop_assets.training_set.results import LABELS, TrainingSetResult


def _pool_embeddings(prompt: Prompt) -> PoolEmbeddingsConfig | None:
    if (model := prompt.encoder.encoder_config.pool_embedding) is None:
        return None
    return PoolEmbeddingsConfig(
        model=model,
        fingerprint=fingerprint(model),
        read_characters=prompt.encoder.read_characters,
        reading=prompt.encoder.reading,
    )


def _describe_embeddings(output: StepOutput[PoolEmbeddingsResult]) -> Mapping[str, str]:
    from datashop_assets.encoder.describe import describe_embeddings

    return describe_embeddings(output)


@step(
    result=PoolEmbeddingsResult,
    inputs=(PretrainingPoolResult,),
    configure=_pool_embeddings,
    version="2",
    group="3_filter",
    kinds={"numpy"},
    resources={"compute"},
    placement=ON_SHARDS,
    describe=_describe_embeddings,
)
def pool_embeddings(run: StepRun[PoolEmbeddingsConfig]) -> PoolEmbeddingsResult:
    """A vector for every document of the pool, made once for all prompts whose encoder reads vectors."""
    from datashop_assets.encoder.embeddings import embed_pool

    return embed_pool(run)


def _encoder(prompt: Prompt) -> EncoderStepConfig:
    encoder = prompt.encoder.encoder_config
    return EncoderStepConfig(
        encoder=encoder,
        fingerprint=None if encoder.pretrained is None else fingerprint(encoder.pretrained),
        read_characters=prompt.encoder.read_characters,
        reading=prompt.encoder.reading,
        gold=prompt.evaluation.gold,
        gold_uri=prompt.pretraining_pool.uri,
    )


def _load_scorer(output: StepOutput[EncoderResult]) -> TextScorer:
    from datashop_assets.encoder_kinds.trained import load

    return load(output)


def _describe_encoder(output: StepOutput[EncoderResult]) -> Mapping[str, str]:
    from datashop_assets.encoder.describe import describe

    return describe(output)


@step(
    result=EncoderResult,
    inputs=(TrainingSetResult, Input(PretrainingPoolResult, needed=lambda prompt: bool(prompt.evaluation.gold))),
    configure=_encoder,
    version="6",
    group="3_filter",
    kinds={"fasttext", "jax"},
    checks=ENCODER_CHECKS,
    load_scorer=_load_scorer,
    describe=_describe_encoder,
)
def encoder(run: StepRun[EncoderStepConfig]) -> EncoderResult:
    """A small model that scores a document as the annotator would, with a report on documents it has not seen.

    A head on static embeddings, fastText, or a BERT-type transformer, as the prompt says.

    Beside every figure stands what length alone and source alone would reach.
    """
    from datashop_assets.documents.embedded import load_gold
    from datashop_assets.encoder.describe import draw_precision_recall, draw_reliability
    from datashop_assets.encoder.fitting import PREDICTED, fit_encoder, predictions
    from datashop_assets.encoder.report import Gold, headlines, heldout_documents, labels_sample, report_on

    rows = run.input(TrainingSetResult).table(LABELS)
    model = run.config.encoder.pretrained
    pretrained = None if model is None else pretrained_folder(model, run.cache, run.data)
    fitted = fit_encoder(run.config, rows, pretrained, run.output.scratch)
    positive_at = run.input(TrainingSetResult).result.positive_at
    sample = labels_sample(rows, fitted, positive_at)
    pool = run.optional_input(PretrainingPoolResult)
    gold = Gold(load_gold(run.cache, run.data, run.config.gold_uri) if pool else {}, run.config.gold)
    report = report_on(fitted, rows, sample, gold, heldout_documents(pool) if pool else iter(()))
    fitted.encoder.save(run.output, run.config.encoder)
    run.output.write_rows(OUT_OF_FOLD, predictions(fitted, rows), PREDICTED)
    run.output.put_bytes(REPORT, report.model_dump_json(indent=1).encode())
    run.output.put_bytes(RELIABILITY, draw_reliability(report.labels.all.reliability), identity=False)
    run.output.put_bytes(PRECISION_RECALL, draw_precision_recall(sample), identity=False)
    return headlines(report, positive_at)
