"""Checks that stop a run before anything is learnt from too few answers."""

from collections import Counter

import dagster as dg

from datashop_assets.annotations.stage import ANNOTATIONS
from datashop_assets.checking import judge_prompts, outputs_of
from datashop_assets.prompts.store import PromptStore
from datashop_assets.protocols.annotator import Status
from datashop_assets.storage.stage_folder import StageFolder

LEAST_COVERAGE = 0.95  # share of the asked documents that have a score
MOST_UNPARSED = 0.10  # share of the asked documents whose reply holds no score


@dg.asset_check(asset=ANNOTATIONS.name, blocking=True)
def coverage(context: dg.AssetCheckExecutionContext, prompts: dg.ResourceParam[PromptStore]) -> dg.AssetCheckResult:
    """At least 95% of the asked documents have a score. If not, look at `status` and `reason` in the shards."""
    return judge_prompts(context, prompts, ANNOTATIONS, lambda slug: _covered(_answers(slug, prompts)))


@dg.asset_check(asset=ANNOTATIONS.name, blocking=True)
def unparsed_share(
    context: dg.AssetCheckExecutionContext, prompts: dg.ResourceParam[PromptStore]
) -> dg.AssetCheckResult:
    """At most 10% of the replies hold no score. If more do, look at `raw` in the shards, then at the rubric's end."""
    return judge_prompts(context, prompts, ANNOTATIONS, lambda slug: _parsed(_answers(slug, prompts)))


def _answers(slug: str, prompts: PromptStore) -> StageFolder:
    (annotations,) = outputs_of(slug, prompts, ANNOTATIONS.name)
    return annotations


def _covered(annotations: StageFolder) -> dg.AssetCheckResult:
    scored = Counter("scored" if row["expected_score"] is not None else "without" for row in annotations.all_rows())
    share = scored["scored"] / max(scored.total(), 1)
    return dg.AssetCheckResult(
        passed=share >= LEAST_COVERAGE,
        description=f"{scored['scored']} of {scored.total()} asked documents have a score ({share:.1%})",
        metadata={"coverage": share, **_by_status(annotations)},
    )


def _parsed(annotations: StageFolder) -> dg.AssetCheckResult:
    counts = _by_status(annotations)
    unparsed, asked = counts.get(Status.UNPARSED, 0), sum(counts.values())
    share = unparsed / max(asked, 1)
    return dg.AssetCheckResult(
        passed=asked > 0 and share <= MOST_UNPARSED,
        description=f"{unparsed} of {asked} replies hold no score ({share:.1%})",
        metadata={"unparsed_share": share, **counts},
    )


def _by_status(annotations: StageFolder) -> dict[str, int]:
    return dict(Counter(str(row["status"]) for row in annotations.all_rows()))
