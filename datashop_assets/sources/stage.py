"""The two stages that say which documents there are: the pool, and the sample that the annotator reads."""

from typing import Any

from datashop_assets.prompts import Prompt
from datashop_assets.sources.fingerprint import fingerprint
from datashop_assets.stage import Stage


def _pool(prompt: Prompt) -> dict[str, Any]:
    data = prompt.pretraining_pool.model_dump()
    return {"data": data, "fingerprint": fingerprint(data), "heldout_fraction": prompt.heldout_fraction}


def _sample(prompt: Prompt) -> dict[str, Any]:
    data = prompt.annotation_sample.model_dump()
    return {"data": data, "fingerprint": fingerprint(data), "documents": prompt.annotator.sample}


PRETRAINING_POOL = Stage(
    "pretraining_pool", code_version="1", inputs=(), config=_pool, build="datashop_assets.sources.build:build_pool"
)
ANNOTATION_SAMPLE = Stage(
    "annotation_sample",
    code_version="1",
    inputs=("pretraining_pool",),
    config=_sample,
    build="datashop_assets.sources.build:build_sample",
)
