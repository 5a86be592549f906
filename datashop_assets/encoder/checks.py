"""Whether the encoder has learned more than what needs no encoder, and no more than there is to learn."""

from collections.abc import Mapping
from typing import Any

from datashop_assets.annotations.results import AnnotatorReportResult
from datashop_assets.core.step import Check, CheckContext, CheckResult
from datashop_assets.encoder.ceiling import Ceiling, ceiling

BASELINES = ("length", "source")
UNKNOWN = "annotator_report is not made yet: how well the annotator agrees with itself is not known"


def better_than_baselines(context: CheckContext) -> CheckResult:
    return judged(context.output.metrics)


def judged(metrics: Mapping[str, Any]) -> CheckResult:
    """The verdict on the metrics of an encoder: `auc` with `auc_low`, `length_auc`, `source_auc`."""
    best, name = max((metrics[f"{name}_auc"], name) for name in BASELINES)
    auc, low = metrics["auc"], metrics["auc_low"]
    return CheckResult(
        passed=low > best,
        severity="warning" if auc > best else "error",
        description=f"AUC {auc:.3f} (95% interval from {low:.3f}) on unseen labels; {name} alone reaches {best:.3f}",
        figures={"auc": auc, **{f"{name}_auc": metrics[f"{name}_auc"] for name in BASELINES}},
    )


def beneath_the_ceiling(context: CheckContext) -> CheckResult:
    report = context.read(AnnotatorReportResult)
    return beside(ceiling(context.output, report)) if report else CheckResult(passed=True, description=UNKNOWN)


def beside(found: Ceiling) -> CheckResult:
    """The verdict on an encoder and its ceiling."""
    figures = {"encoder": found.encoder.value}
    if found.annotator:
        figures["annotator_with_itself"] = found.annotator.value
    return CheckResult(passed=found.believable, description=found.said(), figures=dict(figures))


ENCODER_CHECKS = (
    Check(
        "better_than_baselines",
        "The encoder tells labels apart better than length alone and source alone. If not, look at `report.json`. An "
        "error where its AUC is not above theirs, a warning where only its interval reaches down to them. It does not "
        "stop the run: what follows is the comparison that says whether the kept documents help.",
        better_than_baselines,
    ),
    Check(
        "beneath_the_ceiling",
        "The encoder's rank correlation with the annotator, beside the annotator's with itself when it is asked again. "
        "A warning where the encoder is surely above what the annotator's own noise allows. Then look for documents "
        "that are in the sample twice.",
        beneath_the_ceiling,
        reads=(AnnotatorReportResult,),
    ),
)
