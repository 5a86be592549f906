"""The asset that shows all prompts side by side. It is no step: what it shows is computed when somebody asks."""

from collections.abc import Iterable
from itertools import groupby
from typing import Any

import dagster as dg

from datashop_assets.core.plan import Plan
from datashop_assets.graph import plan
from datashop_assets.orchestration.assets import OWNERS
from datashop_assets.prompts.store import PromptStore
from datashop_assets.protocols.annotator import ModelNames


@dg.asset(deps=["filtered_pool", "evaluation"], group_name="6_card", kinds={"polars"}, owners=OWNERS)
def prompts_compared(
    context: dg.AssetExecutionContext, storage: dg.ResourceParam[PromptStore], annotator: dg.ResourceParam[ModelNames]
) -> dg.MaterializeResult[Any]:
    """Prompts that scored the same pool, side by side: overlap at equal yield, ranks, sources, cost and benefit.

    It has no partition: it reads whatever prompts have finished, and leaves out the others.
    """
    from datashop_assets.prompt_comparison.compare import comparable, compare, compared_prompt
    from datashop_assets.prompt_comparison.report import report

    plans = (plan(prompt, storage.root, annotator) for prompt in storage.prompts().values())
    groups = [group for group in by_pool(filter(comparable, plans)) if len(group) > 1]
    comparisons = [compare([compared_prompt(one) for one in group]) for group in groups]
    context.log.info(f"{len(comparisons)} pools on which two or more prompts have finished")
    shown = {f"on pool {place}": dg.MetadataValue.md(report(one)) for place, one in enumerate(comparisons, 1)}
    return dg.MaterializeResult(metadata={"prompts": sum(map(len, groups)), **shown})


def by_pool(plans: Iterable[Plan]) -> list[list[Plan]]:
    """Plans whose pools hold the same documents, together."""

    def pool(one: Plan) -> str:
        return one["pretraining_pool"].output.manifest.content_digest

    return [list(group) for _, group in groupby(sorted(plans, key=pool), key=pool)]
