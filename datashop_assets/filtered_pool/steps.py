"""The stages from an encoder to the documents that are kept."""

from collections.abc import Mapping
from typing import Any

from datashop_assets.annotations.results import AnnotationsResult
from datashop_assets.core.step import ON_ANNOTATOR, ON_SHARDS, Input, StepOutput, StepRun, step
from datashop_assets.documents.results import PretrainingPoolResult
from datashop_assets.encoder.results import EncoderResult, PoolEmbeddingsResult
from datashop_assets.filtered_pool.checks import FILTERED_POOL_CHECKS, POOL_SCORES_CHECKS
from datashop_assets.filtered_pool.results import FilteredPoolResult, KeepCertificateResult, PoolScoresResult
from datashop_assets.prompts.prompt import Prompt
from datashop_assets.rubric.results import RubricResult
from datashop_assets.trained_lm.results import PoolTokensResult


def _scores(_: Prompt) -> dict[str, Any]:
    return {}


def _certificate(prompt: Prompt) -> dict[str, Any]:
    if prompt.keep.precision is None:
        return {"asked": False}
    return {
        "asked": True,
        "keep": prompt.keep.rule(),
        "annotator": prompt.scoring_config.model_dump(mode="json"),
        "positive_from": prompt.labels.positive_from,
    }


def _kept(prompt: Prompt) -> dict[str, Any]:
    return {
        "keep": prompt.keep.rule(),
        "format": prompt.keep.format,
        "slug": prompt.slug,
        "gold": list(prompt.evaluation.gold),
        "gold_uri": prompt.pretraining_pool.uri,
    }


def describe(output: StepOutput[Any]) -> Mapping[str, str]:
    from datashop_assets.filtered_pool.describe import describe

    return describe(output)


@step(
    result=PoolScoresResult,
    inputs=(
        EncoderResult,
        PretrainingPoolResult,
        PoolEmbeddingsResult,
    ),
    configure=_scores,
    version="2",
    group="3_filter",
    kinds={"parquet"},
    resources={"compute"},
    placement=ON_SHARDS,
    checks=POOL_SCORES_CHECKS,
    describe=describe,
)
def pool_scores(run: StepRun[dict[str, Any]]) -> PoolScoresResult:
    """The encoder's score of every document of the pool."""
    from datashop_assets.filtered_pool.score import build

    return PoolScoresResult.model_validate(build(run))


@step(
    result=KeepCertificateResult,
    inputs=(
        PretrainingPoolResult,
        AnnotationsResult,
        Input(RubricResult, needed=lambda prompt: prompt.annotator.question_config.shows_rubric),
        PoolScoresResult,
    ),
    configure=_certificate,
    version="4",
    group="3_filter",
    kinds={"json"},
    resources={"annotator"},
    placement=ON_ANNOTATOR,
    describe=describe,
)
def keep_certificate(run: StepRun[dict[str, Any]]) -> KeepCertificateResult:
    """What the annotator says of documents drawn from the scored pool, or that it was not asked.

    Where a prompt asks for a precision, it is the lowest threshold that the labels certify, or a refusal that says how
    many labels it would take.
    """
    from datashop_assets.filtered_pool.certificate import build

    return KeepCertificateResult.model_validate(build(run))


@step(
    result=FilteredPoolResult,
    inputs=(
        PretrainingPoolResult,
        PoolTokensResult,
        PoolScoresResult,
        KeepCertificateResult,
    ),
    configure=_kept,
    version="3",
    group="3_filter",
    kinds={"jsonl", "parquet"},
    resources={"compute"},
    placement=ON_SHARDS,
    checks=FILTERED_POOL_CHECKS,
    describe=describe,
)
def filtered_pool(run: StepRun[dict[str, Any]]) -> FilteredPoolResult:
    """The documents that are kept, by an exact rule, with all their fields and their score.

    Ties are broken by hash. The rule and the counts are in the manifest.
    """
    from datashop_assets.filtered_pool.build import build

    return FilteredPoolResult.model_validate(build(run))
