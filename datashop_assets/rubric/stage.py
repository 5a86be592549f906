"""The stage that says what is asked of every document."""

from typing import Any

from datashop_assets.graph.stage import Stage
from datashop_assets.prompts.prompt import Prompt
from datashop_assets.prompts.targets import TargetSet
from datashop_assets.sources.fingerprint import fingerprint


def _rubric(prompt: Prompt) -> dict[str, Any]:
    """Only a written rubric depends on who writes it."""
    if prompt.targets is None:
        return {"rubric": prompt.rubric}
    return {
        "targets": {name: _set(one) for name, one in sorted(prompt.targets.items())},
        "writing": prompt.writing.model_dump(mode="json"),
        "model": prompt.annotator.model,
        "revision": prompt.annotator.revision,
    }


def _set(one: TargetSet) -> dict[str, Any]:
    named = one.model_dump(mode="json")
    return {**named, "fingerprint": fingerprint(named) if one.uri else None}


RUBRIC = Stage("rubric", code_version="1", inputs=(), config=_rubric, build="datashop_assets.rubric.build:build")
