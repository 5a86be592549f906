"""The stage that trains the small model and reports how far it can be trusted."""

from typing import Any

from datashop_assets.prompts.prompt import Prompt
from datashop_assets.stage import Stage


def _encoder(prompt: Prompt) -> dict[str, Any]:
    return {
        **prompt.encoder.model_dump(),
        "read_characters": prompt.annotator.read_characters,
        "gold": list(prompt.evaluation.gold),
        "gold_uri": prompt.pretraining_pool.uri,
    }


ENCODER = Stage(
    "encoder",
    code_version="1",
    inputs=("training_set", "pretraining_pool"),
    config=_encoder,
    build="datashop_assets.encoder.build:build",
)
