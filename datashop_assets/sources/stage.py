"""The two stages that begin every graph: the pool, and the sample of documents to annotate."""

from typing import Any

from datashop_assets.datasets import resolve_uri
from datashop_assets.graph.stage import Stage
from datashop_assets.prompts.data import Data
from datashop_assets.prompts.prompt import Prompt
from datashop_assets.sources.fingerprint import fingerprint


def _source(data: Data) -> dict[str, Any]:
    """The documents a prompt names and what tells that they have changed. Raises what `find_source_files` raises."""
    found = {**data.model_dump(), "uri": resolve_uri(data.uri)}
    return {"data": found, "fingerprint": fingerprint(found)}


def _pool(prompt: Prompt) -> dict[str, Any]:
    return {**_source(prompt.pretraining_pool), "heldout_fraction": prompt.heldout_fraction}


def _sample(prompt: Prompt) -> dict[str, Any]:
    return {**_source(prompt.annotation_sample), "documents": prompt.annotator.sample}


PRETRAINING_POOL = Stage(
    name="pretraining_pool",
    code_version="1",
    inputs=(),
    config=_pool,
    build="datashop_assets.sources.pool_index:build",
)
ANNOTATION_SAMPLE = Stage(
    name="annotation_sample",
    code_version="1",
    inputs=("pretraining_pool",),
    config=_sample,
    build="datashop_assets.sources.sample:build",
)
