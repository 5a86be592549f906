"""The stages that choose what the comparison is measured on, and measure it."""

from typing import Any

from datashop_assets.annotations.question import parsing_of
from datashop_assets.graph.stage import Stage
from datashop_assets.prompts.prompt import Prompt
from datashop_assets.sources.fingerprint import fingerprint


def _targets(prompt: Prompt) -> dict[str, Any]:
    wanted = prompt.evaluation
    named = wanted.targets.model_dump() if wanted.targets else None
    by_annotator = named is None and not wanted.gold
    return {
        "targets": named and {"data": named, "fingerprint": fingerprint(named)},
        "gold": list(wanted.gold),
        "gold_uri": prompt.pretraining_pool.uri,
        "target_documents": wanted.target_documents,
        "general_documents": wanted.general_documents,
        "annotator": {"asked": prompt.annotator.asked(), "parsing": parsing_of(prompt)} if by_annotator else None,
        "positive_from": prompt.labels.positive_from if by_annotator else None,
    }


def _evaluation(prompt: Prompt) -> dict[str, Any]:
    return {"primary": prompt.evaluation.primary.model_dump()}


EVALUATION_TARGETS = Stage(
    "evaluation_targets",
    code_version="2",
    inputs=("pretraining_pool", "rubric"),
    config=_targets,
    build="datashop_assets.evaluation.targets:build",
)
EVALUATION = Stage(
    "evaluation",
    code_version="3",
    inputs=("control_lm", "matched_lm", "trained_lm", "pool_tokens", "evaluation_targets"),
    config=_evaluation,
    build="datashop_assets.evaluation.build:build",
)
