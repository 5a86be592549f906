"""From an encoder to the documents that are kept: the pool's scores, the certificate of a precision, the kept pool."""

from collections.abc import Mapping

from datashop_assets.annotations.results import AnnotationsResult
from datashop_assets.core.step import ON_ANNOTATOR, ON_SHARDS, Input, StepOutput, StepRun, step
from datashop_assets.costs import budget_limits
from datashop_assets.documents.results import PretrainingPoolResult
from datashop_assets.encoder.results import EncoderResult, PoolEmbeddingsResult
from datashop_assets.filtered_pool.checks import FILTERED_POOL_CHECKS, POOL_SCORES_CHECKS
from datashop_assets.filtered_pool.results import (
    FilteredPoolConfig,
    FilteredPoolResult,
    KeepCertificateConfig,
    KeepCertificateResult,
    PoolScoresConfig,
    PoolScoresResult,
    counts_tokens,
)
from datashop_assets.prompts.keep_settings import CertifiedRule
from datashop_assets.prompts.prompt import Prompt
from datashop_assets.rubric.results import RubricResult
from datashop_assets.training_documents.results import PoolTokensResult


def _scores_vectors(prompt: Prompt) -> bool:
    return prompt.encoder.encoder_config.pool_embedding is not None


def _certifies(prompt: Prompt) -> bool:
    return isinstance(prompt.keep.keep_rule, CertifiedRule)


def _scores(_: Prompt) -> PoolScoresConfig:
    return PoolScoresConfig()


def _describe_scores(output: StepOutput[PoolScoresResult]) -> Mapping[str, str]:
    from datashop_assets.filtered_pool.describe import describe_scores

    return describe_scores(output.result)


@step(
    result=PoolScoresResult,
    inputs=(EncoderResult, PretrainingPoolResult, Input(PoolEmbeddingsResult, _scores_vectors)),
    configure=_scores,
    version="4",
    group="3_filter",
    kinds={"parquet"},
    resources={"compute"},
    placement=ON_SHARDS,
    checks=POOL_SCORES_CHECKS,
    describe=_describe_scores,
)
def pool_scores(run: StepRun[PoolScoresConfig]) -> PoolScoresResult:
    """The encoder's score of every document of the pool."""
    from datashop_assets.filtered_pool.scoring import score_pool

    return score_pool(run)


def _certificate(prompt: Prompt) -> KeepCertificateConfig | None:
    rule = prompt.keep.keep_rule
    if not isinstance(rule, CertifiedRule):
        return None
    return KeepCertificateConfig(
        rule=rule,
        scoring=prompt.scoring_config,
        positive_from=prompt.labels.positive_from,
    )


def _describe_certificate(output: StepOutput[KeepCertificateResult]) -> Mapping[str, str]:
    from datashop_assets.filtered_pool.describe import describe_certificate

    return describe_certificate(output.result)


@step(
    result=KeepCertificateResult,
    inputs=(
        PretrainingPoolResult,
        AnnotationsResult,
        Input(RubricResult, lambda prompt: prompt.annotator.question_config.shows_rubric),
        PoolScoresResult,
    ),
    configure=_certificate,
    version="6",
    group="3_filter",
    kinds={"json"},
    resources={"annotator", "prices"},
    placement=ON_ANNOTATOR,
    limits=budget_limits,
    describe=_describe_certificate,
)
def keep_certificate(run: StepRun[KeepCertificateConfig]) -> KeepCertificateResult:
    """For a prompt that asks for a precision or a recall: a threshold of which the annotator's labels show it.

    Or a refusal that says how many labels it would take. Labels are of documents drawn from the scored pool.
    """
    from datashop_assets.filtered_pool.certificate import certify_rule

    return certify_rule(run)


def _kept(prompt: Prompt) -> FilteredPoolConfig:
    return FilteredPoolConfig(
        rule=prompt.keep.keep_rule,
        count=prompt.keep.count if counts_tokens(prompt) else None,
        format=prompt.keep.format,
        slug=prompt.slug,
        gold=prompt.evaluation.gold,
        gold_uri=prompt.pretraining_pool.uri,
    )


def _describe_kept(output: StepOutput[FilteredPoolResult]) -> Mapping[str, str]:
    from datashop_assets.filtered_pool.describe import describe_kept

    return describe_kept(output)


@step(
    result=FilteredPoolResult,
    inputs=(
        PretrainingPoolResult,
        Input(PoolTokensResult, counts_tokens),
        PoolScoresResult,
        Input(KeepCertificateResult, _certifies),
    ),
    configure=_kept,
    version="4",
    group="3_filter",
    kinds={"jsonl", "parquet"},
    resources={"compute"},
    placement=ON_SHARDS,
    checks=FILTERED_POOL_CHECKS,
    describe=_describe_kept,
)
def filtered_pool(run: StepRun[FilteredPoolConfig]) -> FilteredPoolResult:
    """The documents that are kept, by an exact rule, with all their fields and their score.

    Ties are broken by hash. The rule and the counts are in the manifest.
    """
    from datashop_assets.filtered_pool.kept_documents import filter_pool

    return filter_pool(run)
