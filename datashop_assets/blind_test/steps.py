"""The step that tests, blind, whether what is kept is what the annotator would choose."""

from collections.abc import Mapping

from datashop_assets.annotations.results import AnnotationsResult
from datashop_assets.asking.replies import OptionParsing
from datashop_assets.blind_test.results import BlindTestConfig, BlindTestResult
from datashop_assets.core.step import ON_ANNOTATOR, Check, CheckContext, CheckResult, Input, StepOutput, StepRun, step
from datashop_assets.costs import budget_limits
from datashop_assets.documents.results import PretrainingPoolResult
from datashop_assets.filtered_pool.results import FilteredPoolResult
from datashop_assets.prompts.prompt import Prompt
from datashop_assets.rubric.results import RubricResult

MOST_ABSTENTIONS = 0.2  # of the pairs; beyond, those that are told are a choice of their own


def _sides_told_apart(context: CheckContext[BlindTestResult]) -> CheckResult:
    result = context.output.result
    many = result.abstentions > MOST_ABSTENTIONS * result.pairs
    said = result.sentence()
    if result.share_right is not None and not result.above_chance:
        said += "; by chance half would be right, and the interval does not lie above that"
    if many:
        said += f"; more than {MOST_ABSTENTIONS:.0%} abstentions: {', '.join(result.abstained)}"
    figures = {} if result.share_right is None else {"share_right": result.share_right.value}
    return CheckResult(passed=result.above_chance and not many, description=said, figures=figures)


SIDES_TOLD_APART = Check(
    "sides_told_apart",
    "The annotator chooses the kept document over another of the same source and length more often than by chance. A "
    "warning: if not, the encoder may keep by source, length or style what the annotator would not choose, or pairs "
    "are too few (`blind_test.pairs`). Look at the pairs in which it chose the other.",
    _sides_told_apart,
)


def _blind_test(prompt: Prompt) -> BlindTestConfig | None:
    if not prompt.blind_test.pairs:
        return None
    scoring = prompt.scoring_config
    options = scoring.parsing if isinstance(scoring.parsing, OptionParsing) else None
    return BlindTestConfig(pairs=prompt.blind_test.pairs, question=scoring.question, options=options)


def _describe(output: StepOutput[BlindTestResult]) -> Mapping[str, str]:
    from datashop_assets.blind_test.describe import describe

    return describe(output)


@step(
    result=BlindTestResult,
    inputs=(
        PretrainingPoolResult,
        Input(RubricResult, needed=lambda prompt: prompt.annotator.question_config.shows_rubric),
        AnnotationsResult,
        FilteredPoolResult,
    ),
    configure=_blind_test,
    version="1",
    group="3_filter",
    kinds={"parquet"},
    resources={"annotator", "prices"},
    placement=ON_ANNOTATOR,
    checks=(SIDES_TOLD_APART,),
    limits=budget_limits,
    describe=_describe,
)
def blind_test(run: StepRun[BlindTestConfig]) -> BlindTestResult:
    """How often the annotator, shown a kept document and another one like it, tells which was kept.

    Both are of one source and of similar length, and neither was annotated before.
    """
    from datashop_assets.blind_test.build import build

    return build(run)
