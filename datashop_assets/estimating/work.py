"""How much work a stage is, in the unit that its time grows with.

Tokens trained times weights for language models, documents of the pool for what reads all of it, one for all others;
none for a stage that a prompt does not ask for.
"""

from collections.abc import Mapping
from typing import Any

from datashop_assets.trained_lm.settings import TrainingSettings

BY_POOL = (
    *("pretraining_pool", "annotation_sample", "pool_embeddings", "pool_tokens", "pool_scores", "filtered_pool"),
    "decontamination",
)
BY_TOKENS = ("control_lm", "matched_lm", "trained_lm")


def work(name: str, config: Mapping[str, Any], documents: int, vocabulary: int) -> float:
    """Of a stage with these settings over a pool of `documents`."""
    if (tokens := trained_tokens(name, config, vocabulary)) is not None:
        settings = TrainingSettings.from_config(config, vocabulary)
        return float(tokens) * (1 if settings.anneal else settings.llama(vocabulary).parameters)
    if config.get("asked") is False:
        return 0.0
    return float(documents) if name in BY_POOL else 1.0


def trained_tokens(name: str, config: Mapping[str, Any], vocabulary: int) -> int | None:
    """Tokens of all seeds of a language-model stage; None for any other stage."""
    if name not in BY_TOKENS or "steps" not in config:
        return None
    settings = TrainingSettings.from_config(config, vocabulary)
    return settings.tokens * settings.seeds
