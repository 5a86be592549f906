"""The two steps that begin every graph: the pool, and the sample of documents to annotate."""

from collections.abc import Mapping

from datashop_assets.core.step import StepOutput, StepRun, step
from datashop_assets.documents.checks import POOL_CHECKS, SAMPLE_CHECKS
from datashop_assets.documents.results import (
    AnnotationSampleConfig,
    AnnotationSampleResult,
    PretrainingPoolConfig,
    PretrainingPoolResult,
)
from datashop_assets.documents.sources import DocumentSource
from datashop_assets.documents.split import bounded_fraction
from datashop_assets.prompts.prompt import Prompt


def _pool(prompt: Prompt) -> PretrainingPoolConfig:
    data = DocumentSource.of(prompt.pretraining_pool)
    return PretrainingPoolConfig(
        data=data, heldout_fraction=bounded_fraction(prompt.heldout_fraction, data.listed_bytes)
    )


def _sample(prompt: Prompt) -> AnnotationSampleConfig:
    return AnnotationSampleConfig(data=DocumentSource.of(prompt.annotation_sample), documents=prompt.annotator.sample)


def _describe_pool(output: StepOutput[PretrainingPoolResult]) -> Mapping[str, str]:
    from datashop_assets.documents.describe import describe_pool

    return describe_pool(output)


def _describe_sample(output: StepOutput[AnnotationSampleResult]) -> Mapping[str, str]:
    from datashop_assets.documents.describe import describe_sample

    return describe_sample(output)


@step(
    result=PretrainingPoolResult,
    configure=_pool,
    version="4",
    group="1_documents",
    kinds={"parquet"},
    resources={"compute"},
    checks=POOL_CHECKS,
    describe=_describe_pool,
)
def pretraining_pool(run: StepRun[PretrainingPoolConfig]) -> PretrainingPoolResult:
    """Every document of the pool, indexed: where it stands, how long it is, and on which side of the held-out split.

    The documents stay where they are. A row that is no document is counted with its reason. Documents are held out for
    evaluation by hash, the same ones for every prompt, and no more than about 20,000 of a large pool.
    """
    from datashop_assets.documents.index import build

    return build(run)


@step(
    result=AnnotationSampleResult,
    inputs=(PretrainingPoolResult,),
    configure=_sample,
    version="4",
    group="1_documents",
    kinds={"parquet"},
    resources={"compute"},
    checks=SAMPLE_CHECKS,
    describe=_describe_sample,
)
def annotation_sample(run: StepRun[AnnotationSampleConfig]) -> AnnotationSampleResult:
    """The documents that may be annotated, drawn by hash, none of them held out or nearly a held-out one.

    The draw does not depend on the rubric: prompts over the same documents share one sample.
    """
    from datashop_assets.documents.sampling import build

    return build(run)
