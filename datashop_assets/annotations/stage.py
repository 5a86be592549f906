"""The stage in which the annotator scores the sample."""

from typing import Any

from datashop_assets.prompts.prompt import Prompt
from datashop_assets.stage import Stage


def _annotations(prompt: Prompt) -> dict[str, Any]:
    return prompt.annotator.model_dump(mode="json", exclude={"sample"})


ANNOTATIONS = Stage(
    "annotations",
    code_version="1",
    inputs=("annotation_sample", "rubric"),
    config=_annotations,
    build="datashop_assets.annotations.build:build",
)
