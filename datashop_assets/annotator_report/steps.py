"""The stage that says how far the annotator can be trusted. Nothing is made from it."""

from collections.abc import Mapping
from typing import Any

from datashop_assets.annotations.question import parsing_as, parsing_of
from datashop_assets.annotations.results import AnnotationsResult
from datashop_assets.annotator_report.results import AnnotatorReportResult
from datashop_assets.core.step import ON_ANNOTATOR, StepOutput, StepRun, step
from datashop_assets.documents.results import AnnotationSampleResult
from datashop_assets.prompts.prompt import Prompt
from datashop_assets.rubric.results import RubricResult


def _report(prompt: Prompt) -> dict[str, Any]:
    settings, report = prompt.annotator, prompt.annotator.report
    second = report.second_asked(settings.asked())
    return {
        "asked": settings.asked(),
        "parsing": parsing_of(prompt),
        "again": {"documents": report.repeated(settings.scoring), "seed": report.seed},
        "second": second
        and {
            "asked": second,
            "parsing": parsing_as(second, prompt.processor.identity),
            "documents": report.second.documents if report.second else 0,
        },
    }


def describe(output: StepOutput[Any]) -> Mapping[str, str]:
    from datashop_assets.annotator_report.describe import describe

    return describe(output)


@step(
    result=AnnotatorReportResult,
    inputs=(
        AnnotationsResult,
        AnnotationSampleResult,
        RubricResult,
    ),
    configure=_report,
    version="2",
    group="2_annotations",
    kinds={"json"},
    resources={"annotator"},
    placement=ON_ANNOTATOR,
    describe=describe,
)
def annotator_report(run: StepRun[dict[str, Any]]) -> AnnotatorReportResult:
    """How far the annotator can be trusted: agreement with itself and with a second one, scores by length and source.

    Nothing is made from it. Figures are weighted, so that they describe the whole sample.
    """
    from datashop_assets.annotator_report.build import build

    return AnnotatorReportResult.model_validate(build(run))
