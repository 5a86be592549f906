"""Whether the encoder has learnt more than what needs no encoder."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from datashop_assets.checking import judge_prompts, outputs_of
from datashop_assets.encoder.stage import ENCODER
from datashop_assets.prompts.store import PromptStore

BASELINES = ("length", "source")


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


def judged(metrics: Mapping[str, Any]) -> dg.AssetCheckResult:
    """The verdict on the metrics of an encoder: `auc` with `auc_low`, `length_auc`, `source_auc`."""
    best, name = max((metrics[f"{name}_auc"], name) for name in BASELINES)
    auc, low = metrics["auc"], metrics["auc_low"]
    said = f"AUC {auc:.3f} (95% interval from {low:.3f}) on unseen labels; {name} alone reaches {best:.3f}"
    severity = dg.AssetCheckSeverity.WARN if auc > best else dg.AssetCheckSeverity.ERROR
    metadata = {"auc": auc, **{f"{name}_auc": metrics[f"{name}_auc"] for name in BASELINES}}
    return dg.AssetCheckResult(passed=low > best, severity=severity, description=said, metadata=metadata)
