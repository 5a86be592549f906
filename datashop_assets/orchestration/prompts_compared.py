"""The asset that shows all prompts side by side. It is no step: what it shows is computed when somebody asks."""

from collections.abc import Iterable
from itertools import groupby
from typing import Any

import dagster as dg

from datashop_assets.core.plan import Plan
from datashop_assets.documents.results import PretrainingPoolResult
from datashop_assets.evaluation.results import EvaluationResult
from datashop_assets.filtered_pool.results import FilteredPoolResult
from datashop_assets.graph import plan
from datashop_assets.orchestration.assets import OWNERS
from datashop_assets.prompts.store import PromptStore
from datashop_assets.protocols.annotator import ModelNames


@dg.asset(deps=[FilteredPoolResult.step, EvaluationResult.step], group_name="6_card", kinds={"polars"}, owners=OWNERS)
def prompts_compared(
    context: dg.AssetExecutionContext, storage: dg.ResourceParam[PromptStore], annotator: dg.ResourceParam[ModelNames]
) -> dg.MaterializeResult[Any]:
    """Prompts that scored the same pool, side by side: overlap at equal yield, ranks, sources, cost and benefit.

    It has no partition: it reads whatever prompts have finished, and leaves out the others.
    """
    from datashop_assets.prompt_comparison.compare import comparable, compare, compared_prompt
    from datashop_assets.prompt_comparison.report import report

    plans, problems = make_plans(storage, annotator)
    for slug, problem in problems.items():
        context.log.error(f"{slug}: cannot be planned and is left out: {problem}")
    groups = [group for group in by_pool(filter(comparable, plans)) if len(group) > 1]
    comparisons = [compare([compared_prompt(one) for one in group]) for group in groups]
    context.log.info(f"{len(comparisons)} pools on which two or more prompts have finished")
    shown = {f"on pool {place}": dg.MetadataValue.md(report(one)) for place, one in enumerate(comparisons, 1)}
    return dg.MaterializeResult(metadata={"prompts": sum(map(len, groups)), **shown})


def make_plans(prompts: PromptStore, annotator: ModelNames | None) -> tuple[list[Plan], dict[str, str]]:
    """The plan of every prompt that has one, and for the others, by slug, why they have none."""
    plans, problems = list[Plan](), dict[str, str]()
    for slug, prompt in prompts.prompts().items():
        try:
            plans.append(plan(prompt, prompts.root, annotator))
        except Exception as error:  # noqa: BLE001 - whatever a source raises leaves out its own prompt only
            problems[slug] = str(error)
    return plans, problems


def by_pool(plans: Iterable[Plan]) -> list[list[Plan]]:
    """Plans whose pools hold the same documents, together."""

    def pool(one: Plan) -> str:
        return one.output(PretrainingPoolResult).manifest.content_digest

    return [list(group) for _, group in groupby(sorted(plans, key=pool), key=pool)]
