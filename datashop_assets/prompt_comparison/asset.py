"""All prompts side by side."""

from itertools import groupby
from typing import TYPE_CHECKING, Any

import dagster as dg

from datashop_assets.graph import plan
from datashop_assets.orchestration.assets import OWNERS
from datashop_assets.prompts.store import PromptStore

if TYPE_CHECKING:
    from datashop_assets.prompt_comparison.sides import Side


@dg.asset(deps=["filtered_pool", "evaluation"], group_name="6_card", kinds={"polars"}, owners=OWNERS)
def prompts_compared(
    context: dg.AssetExecutionContext, prompts: dg.ResourceParam[PromptStore]
) -> dg.MaterializeResult[Any]:
    """Prompts that scored the same pool, side by side: overlap at equal yield, ranks, sources, cost and benefit.

    It has no partition: it reads whatever prompts have finished, and leaves out the others.
    """
    from datashop_assets.prompt_comparison.compare import compare
    from datashop_assets.prompt_comparison.report import report

    groups = [group for group in by_pool(finished(prompts)) if len(group) > 1]
    compared = [compare(group) for group in groups]
    context.log.info(f"{len(compared)} pools on which two or more prompts have finished")
    shown = {f"on pool {place}": dg.MetadataValue.md(report(one)) for place, one in enumerate(compared, 1)}
    return dg.MaterializeResult(metadata={"prompts": sum(map(len, groups)), **shown})


def finished(prompts: PromptStore) -> "list[Side]":
    """The prompts whose pool has been scored and filtered as their files say now."""
    from datashop_assets.prompt_comparison.sides import NEEDED, side

    planned = {slug: plan(prompt, prompts.root) for slug, prompt in prompts.prompts().items()}
    return [side(slug, one) for slug, one in planned.items() if all(one[name].usable for name in NEEDED)]


def by_pool(sides: "list[Side]") -> "list[list[Side]]":
    def pool(one: "Side") -> str:
        return one.stages["pretraining_pool"].manifest.content_digest

    return [list(group) for _, group in groupby(sorted(sides, key=pool), key=pool)]
