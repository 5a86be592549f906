"""The stages that tokenize the pool and train the candidate beside its control."""

from typing import Any

from datashop_assets.prompts.prompt import Prompt
from datashop_assets.stage import Stage


def _tokens(prompt: Prompt) -> dict[str, Any]:
    return {"vocabulary": prompt.training.vocabulary}


def _training(prompt: Prompt) -> dict[str, Any]:
    return prompt.training.model_dump(exclude={"vocabulary"})


POOL_TOKENS = Stage(
    "pool_tokens",
    code_version="1",
    inputs=("pretraining_pool",),
    config=_tokens,
    build="datashop_assets.trained_lm.tokens:build",
)
CONTROL_LM = Stage(
    "control_lm",
    code_version="1",
    inputs=("pool_tokens",),
    config=_training,
    build="datashop_assets.trained_lm.build:build_control",
)
TRAINED_LM = Stage(
    "trained_lm",
    code_version="1",
    inputs=("filtered_pool", "pool_tokens"),
    config=_training,
    build="datashop_assets.trained_lm.build:build_candidate",
)
