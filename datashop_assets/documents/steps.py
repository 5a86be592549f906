"""The two stages that begin every graph: the pool, and the sample of documents to annotate."""

from collections.abc import Mapping
from typing import Any

from datashop_assets.core.step import StepOutput, StepRun, step
from datashop_assets.datasets import resolve_uri
from datashop_assets.documents.results import AnnotationSampleResult, PretrainingPoolResult
from datashop_assets.documents.sources import fingerprint
from datashop_assets.prompts.prompt import Prompt
from datashop_assets.prompts.settings import Data


def _source(data: Data) -> dict[str, Any]:
    """The documents a prompt names and what tells that they have changed. Raises what `find_source_files` raises."""
    found = {**data.model_dump(), "uri": resolve_uri(data.uri)}
    return {"data": found, "fingerprint": fingerprint(found)}


def _pool(prompt: Prompt) -> dict[str, Any]:
    return {**_source(prompt.pretraining_pool), "heldout_fraction": prompt.heldout_fraction}


def _sample(prompt: Prompt) -> dict[str, Any]:
    return {**_source(prompt.annotation_sample), "documents": prompt.annotator.sample}


def describe(output: StepOutput[Any]) -> Mapping[str, str]:
    from datashop_assets.documents.describe import describe

    return describe(output)


@step(
    result=PretrainingPoolResult,
    configure=_pool,
    version="1",
    group="1_documents",
    kinds={"parquet"},
    resources={"compute"},
    describe=describe,
)
def pretraining_pool(run: StepRun[dict[str, Any]]) -> PretrainingPoolResult:
    """Every document of the pool, indexed: where it stands, how long it is, and on which side of the held-out split.

    The documents stay where they are. A row that is no document is counted with its reason. Documents held out for
    evaluation, and near duplicates of them, are set aside by hash, the same ones for every prompt.
    """
    from datashop_assets.documents.index import build

    return PretrainingPoolResult.model_validate(build(run))


@step(
    result=AnnotationSampleResult,
    inputs=(PretrainingPoolResult,),
    configure=_sample,
    version="1",
    group="1_documents",
    kinds={"parquet"},
    resources={"compute"},
    describe=describe,
)
def annotation_sample(run: StepRun[dict[str, Any]]) -> AnnotationSampleResult:
    """The documents that may be annotated, drawn by hash, none of them held out.

    The draw does not depend on the rubric: prompts over the same documents share one sample.
    """
    from datashop_assets.documents.sampling import build

    return AnnotationSampleResult.model_validate(build(run))
