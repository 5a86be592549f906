"""The stage that says what is asked of every document."""

from collections.abc import Mapping
from typing import Any

from datashop_assets.core.step import ON_ANNOTATOR, StepOutput, StepRun, step
from datashop_assets.documents.sources import fingerprint
from datashop_assets.prompts.prompt import Prompt
from datashop_assets.prompts.settings import TargetSet
from datashop_assets.rubric.results import RubricResult


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


def describe(output: StepOutput[Any]) -> Mapping[str, str]:
    from datashop_assets.rubric.describe import describe

    return describe(output)


@step(
    result=RubricResult,
    configure=_rubric,
    version="1",
    group="2_annotations",
    kinds={"text"},
    resources={"annotator"},
    placement=ON_ANNOTATOR,
    describe=describe,
)
def rubric(run: StepRun[dict[str, Any]]) -> RubricResult:
    """The rubric as it will be used, with `{example}` where the document goes.

    It is given in the prompt file, or the annotator writes it from target documents.
    """
    from datashop_assets.rubric.build import build

    return RubricResult.model_validate(build(run))
