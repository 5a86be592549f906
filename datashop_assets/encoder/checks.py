"""Whether the encoder has learnt more than what needs no encoder, and no more than there is to learn."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from datashop_assets.dagster_door.checking import judge_prompts, output_if_made, outputs_of
from datashop_assets.encoder.ceiling import Ceiling, ceiling
from datashop_assets.encoder.stage import ENCODER
from datashop_assets.prompts.store import PromptStore

BASELINES = ("length", "source")
UNKNOWN = "annotator_report is not made yet: how well the annotator agrees with itself is not known"


@dg.asset_check(asset=ENCODER.name)
def better_than_baselines(
    context: dg.AssetCheckExecutionContext, prompts: dg.ResourceParam[PromptStore]
) -> dg.AssetCheckResult:
    """The encoder tells labels apart better than length alone and source alone. If not, look at `report.json`.

    An error where its AUC is not above theirs, a warning where only its interval reaches down to them. It does not
    stop the run: what follows is the comparison that says whether the kept documents help.
    """

    def judge(slug: str) -> dg.AssetCheckResult:
        (encoder,) = outputs_of(slug, prompts, ENCODER.name)
        return judged(encoder.metrics)

    return judge_prompts(context, prompts, ENCODER, judge)


@dg.asset_check(asset=ENCODER.name, additional_deps=["annotator_report"])
def beneath_the_ceiling(
    context: dg.AssetCheckExecutionContext, prompts: dg.ResourceParam[PromptStore]
) -> dg.AssetCheckResult:
    """The encoder's rank correlation with the annotator, beside the annotator's with itself when it is asked again.

    A warning where the encoder is surely above what the annotator's own noise allows. Then look for documents that are
    in the sample twice.
    """

    def judge(slug: str) -> dg.AssetCheckResult:
        (encoder,) = outputs_of(slug, prompts, ENCODER.name)
        report = output_if_made(slug, prompts, "annotator_report")
        return beside(ceiling(encoder, report)) if report else dg.AssetCheckResult(passed=True, description=UNKNOWN)

    return judge_prompts(context, prompts, ENCODER, judge)


def beside(found: Ceiling) -> dg.AssetCheckResult:
    """The verdict on an encoder and its ceiling."""
    metadata = {"encoder": found.encoder["value"]}
    if found.annotator:
        metadata["annotator_with_itself"] = found.annotator["value"]
    return dg.AssetCheckResult(
        passed=found.believable, severity=dg.AssetCheckSeverity.WARN, description=found.said(), metadata=metadata
    )


def judged(metrics: Mapping[str, Any]) -> dg.AssetCheckResult:
    """The verdict on the metrics of an encoder: `auc` with `auc_low`, `length_auc`, `source_auc`."""
    best, name = max((metrics[f"{name}_auc"], name) for name in BASELINES)
    auc, low = metrics["auc"], metrics["auc_low"]
    said = f"AUC {auc:.3f} (95% interval from {low:.3f}) on unseen labels; {name} alone reaches {best:.3f}"
    severity = dg.AssetCheckSeverity.WARN if auc > best else dg.AssetCheckSeverity.ERROR
    metadata = {"auc": auc, **{f"{name}_auc": metrics[f"{name}_auc"] for name in BASELINES}}
    return dg.AssetCheckResult(passed=low > best, severity=severity, description=said, metadata=metadata)
