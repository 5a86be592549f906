"""Whether the encoder has learned more than what needs no encoder, and no more than there is to learn."""

from datashop_assets.annotations.results import AnnotatorReportResult
from datashop_assets.core.step import Check, CheckContext, CheckResult, StepOutput
from datashop_assets.encoder.results import Ceiling, EncoderResult, ceiling
from datashop_assets.statistics.figure import Figure

UNKNOWN = "annotator_report is not made yet: how well the annotator agrees with itself is not known"


def better_than_baselines(context: CheckContext) -> CheckResult:
    output: StepOutput[EncoderResult] = context.output
    result = output.result
    return against_baselines(result.auc, {name: one.value for name, one in result.baseline_auc.items()})


def against_baselines(auc: Figure, baselines: dict[str, float]) -> CheckResult:
    """The verdict on an AUC beside those of baselines by name."""
    name, best = max(baselines.items(), key=lambda one: one[1])
    low = auc.value if auc.low is None else auc.low
    return CheckResult(
        passed=low > best,
        severity="warning" if auc.value > best else "error",
        description=f"AUC {auc.value:.3f} (95% interval from {low:.3f}) on unseen labels; {name} alone reaches "
        f"{best:.3f}",
        figures={"auc": auc.value, **{f"{name}_auc": value for name, value in baselines.items()}},
    )


def beneath_the_ceiling(context: CheckContext) -> CheckResult:
    report = context.read(AnnotatorReportResult)
    if report is None:
        return CheckResult(passed=True, description=UNKNOWN)
    return against_ceiling(ceiling(context.output, report))


def against_ceiling(found: Ceiling) -> CheckResult:
    figures = {"encoder": found.encoder.value}
    if found.annotator:
        figures["annotator_with_itself"] = found.annotator.value
    return CheckResult(passed=found.believable, description=found.text(), figures=dict(figures))


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
