"""The stages that tokenize the pool, decontaminate it, and train the candidate beside its controls."""

from typing import Any

from datashop_assets.graph.stage import Stage
from datashop_assets.prompts.prompt import Prompt
from datashop_assets.prompts.training import Training
from datashop_assets.sources.fingerprint import fingerprint
from datashop_assets.trained_lm.checkpoint_names import checkpoint_fingerprint

FROM_SCRATCH = {"depth", "query_group", "tied"}  # what a checkpoint settles by itself
OTHERS = {"vocabulary", "anneal_from", "decontamination_words"}  # of other stages, or named by fingerprint


def _tokens(prompt: Prompt) -> dict[str, Any]:
    start = _start(prompt.training)
    return {"checkpoint": start} if start else {"vocabulary": prompt.training.vocabulary}


def _decontamination(prompt: Prompt) -> dict[str, Any]:
    """Held-out documents always count; those that the prompt names besides make a result, and a control, of its own."""
    named = [*prompt.evaluation.benchmarks, *([prompt.evaluation.targets] if prompt.evaluation.targets else [])]
    data = [one.model_dump() for one in named]
    return {
        "ngram": prompt.training.decontamination_words,
        "sets": [{"data": one, "fingerprint": fingerprint(one)} for one in data],
    }


def _control(prompt: Prompt) -> dict[str, Any]:
    start = _start(prompt.training)
    without = OTHERS | {"max_epochs", "matched_control"} | (FROM_SCRATCH if start else set())
    return {**prompt.training.model_dump(exclude=without), "checkpoint": start}


def _candidate(prompt: Prompt) -> dict[str, Any]:
    return {**_control(prompt), "max_epochs": prompt.training.max_epochs}


def _matched(prompt: Prompt) -> dict[str, Any]:
    return _candidate(prompt) if prompt.training.matched_control else {"asked": False}


def _start(training: Training) -> dict[str, Any] | None:
    name = training.anneal_from
    return None if name is None else {"name": name, "fingerprint": checkpoint_fingerprint(name)}


POOL_TOKENS = Stage(
    "pool_tokens",
    code_version="3",
    inputs=("pretraining_pool",),
    config=_tokens,
    build="datashop_assets.trained_lm.tokens:build",
)
DECONTAMINATION = Stage(
    "decontamination",
    code_version="3",
    inputs=("pretraining_pool",),
    config=_decontamination,
    build="datashop_assets.trained_lm.decontamination:build",
)
CONTROL_LM = Stage(
    "control_lm",
    code_version="2",
    inputs=("pool_tokens", "decontamination"),
    config=_control,
    build="datashop_assets.trained_lm.build:build_control",
)
MATCHED_LM = Stage(
    "matched_lm",
    code_version="2",
    inputs=("filtered_pool", "pool_tokens", "decontamination"),
    config=_matched,
    build="datashop_assets.trained_lm.build:build_matched",
)
TRAINED_LM = Stage(
    "trained_lm",
    code_version="2",
    inputs=("filtered_pool", "pool_tokens", "decontamination"),
    config=_candidate,
    build="datashop_assets.trained_lm.build:build_candidate",
)
