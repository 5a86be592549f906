"""The stage that says how far the annotator can be trusted. Nothing is made from it."""

from typing import Any

from datashop_assets.annotations.question import parsing_as, parsing_of
from datashop_assets.graph.stage import Stage
from datashop_assets.prompts.prompt import Prompt


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


ANNOTATOR_REPORT = Stage(
    "annotator_report",
    code_version="1",
    inputs=("annotations", "annotation_sample", "rubric"),
    config=_report,
    build="datashop_assets.annotator_report.build:build",
)
