"""Whether the encoder has learned more than what needs no encoder, and no more than there is to learn."""

from datashop_assets.annotations.results import AnnotatorReportResult
from datashop_assets.core.step import Check, CheckContext, CheckResult
from datashop_assets.encoder.results import (
    ENOUGH,
    Ceiling,
    EncoderReport,
    EncoderResult,
    ceiling,
    encoder_report,
    miscalibrated_sources,
    sources_at_chance,
)
from datashop_assets.markdown import one_line
from datashop_assets.statistics.figure import Figure

UNKNOWN = "annotator_report is not made yet: how well the annotator agrees with itself is not known"


def better_than_baselines(context: CheckContext[EncoderResult]) -> CheckResult:
    result = context.output.result
    if result.auc is None:
        return CheckResult(
            passed=False,
            description=f"{result.positives} of {result.documents} labels are positive, too few for an AUC; the rank "
            f"correlation with the annotator's scores is {result.spearman}",
        )
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


def better_than_chance_within_sources(context: CheckContext[EncoderResult]) -> CheckResult:
    return within_sources(encoder_report(context.output))


def within_sources(report: EncoderReport) -> CheckResult:
    """The verdict on an encoder's AUC within each source."""
    found = sources_at_chance(report)
    named = [f"within {one_line(one.source)} the AUC on {one.of} is {one.within}" for one in found]
    figures = {f"{one.source}, {one.of}": one.within.value for one in found}
    judged = sum(one.figures is not None for one in report.labels.within.values())
    said = f"no better than chance: {'; '.join(named)}; over all sources it is {found[0].all}" if found else ""
    return CheckResult(
        passed=not found,
        description=said or f"of {judged} sources with enough labels none has an AUC that chance would give",
        figures=dict(figures),
    )


def calibrated_within_sources(context: CheckContext[EncoderResult]) -> CheckResult:
    return calibration_within(encoder_report(context.output))


def calibration_within(report: EncoderReport) -> CheckResult:
    """The verdict on an encoder's calibration within each source."""
    found = miscalibrated_sources(report)
    named = [f"within {one_line(one.source)} scores are {one.bias} off, by {one.documents} labels" for one in found]
    judged = sum(one.documents >= ENOUGH for one in report.labels.within.values())
    return CheckResult(
        passed=not found,
        description="; ".join(named) or f"in none of {judged} sources with {ENOUGH} labels scores are off on the whole",
        figures={one.source: one.bias.value for one in found},
    )


def beneath_the_ceiling(context: CheckContext[EncoderResult]) -> CheckResult:
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
        "better_than_chance_within_sources",
        "Within every source the encoder ranks better than chance. If not, its AUC over all documents comes from "
        "telling sources apart: look at the labels of that source in `report.json`, and at the annotator's replies "
        "there. A source with few labels, whose interval holds anything, is not named.",
        better_than_chance_within_sources,
    ),
    Check(
        "calibrated_within_sources",
        "Within every source of at least 30 labels the mean score of documents that the encoder had not seen is that "
        "of the annotator. If not, one cut over all sources keeps too much of one and too little of another: look at "
        "the reliability of that source in `report.json`. A bias below 0.05, a quarter of a point, is not named.",
        calibrated_within_sources,
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
