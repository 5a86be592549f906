"""The step that says what is asked of every document."""

from collections.abc import Mapping

from datashop_assets.core.step import ON_ANNOTATOR, StepOutput, StepRun, step
from datashop_assets.costs import budget_limits
from datashop_assets.documents.sources import fingerprint
from datashop_assets.prompts.prompt import Prompt
from datashop_assets.prompts.settings import TargetSet
from datashop_assets.rubric.results import RubricConfig, RubricResult, TargetsConfig, WritingConfig


def _rubric(prompt: Prompt) -> RubricConfig:
    """Only a written rubric depends on who writes it."""
    if prompt.targets is None:
        return RubricConfig(text=prompt.rubric)
    written = WritingConfig(
        targets={name: _targets(one) for name, one in sorted(prompt.targets.items())},
        settings=prompt.writing,
        model=prompt.annotator.model,
        revision=prompt.annotator.revision,
    )
    return RubricConfig(text=None, written=written)


def _targets(one: TargetSet) -> TargetsConfig:
    return TargetsConfig(documents=one, fingerprint=fingerprint(one.model_dump(mode="json")) if one.uri else None)


def describe(output: StepOutput[RubricResult]) -> Mapping[str, str]:
    from datashop_assets.rubric.writing import describe

    return describe(output)


@step(
    result=RubricResult,
    configure=_rubric,
    version="3",
    group="2_annotations",
    kinds={"text"},
    resources={"annotator", "prices"},
    placement=ON_ANNOTATOR,
    limits=budget_limits,
    asks=lambda config: config.written is not None,
    describe=describe,
)
def rubric(run: StepRun[RubricConfig]) -> RubricResult:
    """The rubric as it will be used, with `{example}` where the document goes.

    It is given in the prompt file, or the annotator writes it from target documents.
    """
    from datashop_assets.rubric.writing import build

    return build(run)
