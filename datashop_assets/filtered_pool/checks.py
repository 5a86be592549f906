"""Checks that stop a run before a model is trained on documents that are not those of the rule."""

import dagster as dg

from datashop_assets.dagster_door.checking import judge_prompts, outputs_of
from datashop_assets.filtered_pool.stage import FILTERED_POOL, POOL_SCORES
from datashop_assets.prompts.store import PromptStore


@dg.asset_check(asset=POOL_SCORES.name, blocking=True)
def pool_fully_scored(
    context: dg.AssetCheckExecutionContext, prompts: dg.ResourceParam[PromptStore]
) -> dg.AssetCheckResult:
    """Every document of the pool has exactly one score. If not, remove the folder and materialize the scores again."""
    from datashop_assets.filtered_pool.audit import unscored

    def judge(slug: str) -> dg.AssetCheckResult:
        pool, scores = outputs_of(slug, prompts, "pretraining_pool", POOL_SCORES.name)
        return _exact(unscored(pool, scores), f"{scores.manifest.rows} documents, each with one score")

    return judge_prompts(context, prompts, POOL_SCORES, judge)


@dg.asset_check(asset=FILTERED_POOL.name, blocking=True)
def keep_count_exact(
    context: dg.AssetCheckExecutionContext, prompts: dg.ResourceParam[PromptStore]
) -> dg.AssetCheckResult:
    """What is kept is exactly what the rule says, counted again. If not, look at `kept` beside the scores."""
    from datashop_assets.filtered_pool.audit import miskept

    def judge(slug: str) -> dg.AssetCheckResult:
        filtered, scores, tokens = outputs_of(slug, prompts, FILTERED_POOL.name, POOL_SCORES.name, "pool_tokens")
        rule = filtered.metrics["rule"]
        return _exact(miskept(rule, filtered, scores, tokens), f"exactly what {rule} keeps")

    return judge_prompts(context, prompts, FILTERED_POOL, judge)


def _exact(wrong: list[str], right: str) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=not wrong, description="; ".join(wrong) or right)
