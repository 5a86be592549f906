"""The stage that turns scores into labels."""

from typing import Any

from datashop_assets.graph.stage import Stage
from datashop_assets.prompts.prompt import Prompt


def _training_set(prompt: Prompt) -> dict[str, Any]:
    return prompt.labels.model_dump()


TRAINING_SET = Stage(
    "training_set",
    code_version="1",
    inputs=("annotations",),
    config=_training_set,
    build="datashop_assets.training_set.build:build",
)
