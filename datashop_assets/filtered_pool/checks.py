"""Checks that stop a run before a model is trained on documents that are not those of the rule."""

from datashop_assets.core.step import Check, CheckContext, CheckResult
from datashop_assets.documents.results import PretrainingPoolResult
from datashop_assets.filtered_pool.results import PoolScoresResult
from datashop_assets.trained_lm.results import PoolTokensResult


def pool_fully_scored(context: CheckContext) -> CheckResult:
    from datashop_assets.filtered_pool.audit import unscored

    wrong = unscored(context.required(PretrainingPoolResult), context.output)
    return _exact(wrong, f"{context.output.manifest.rows} documents, each with one score")


def keep_count_exact(context: CheckContext) -> CheckResult:
    from datashop_assets.filtered_pool.audit import miskept

    rule = context.output.metrics["rule"]
    wrong = miskept(rule, context.output, context.required(PoolScoresResult), context.required(PoolTokensResult))
    return _exact(wrong, f"exactly what {rule} keeps")


def _exact(wrong: list[str], right: str) -> CheckResult:
    return CheckResult(passed=not wrong, blocks=True, severity="error", description="; ".join(wrong) or right)


POOL_SCORES_CHECKS = (
    Check(
        "pool_fully_scored",
        "Every document of the pool has exactly one score. If not, remove the folder and materialize the scores again.",
        pool_fully_scored,
        blocking=True,
        reads=(PretrainingPoolResult,),
    ),
)
FILTERED_POOL_CHECKS = (
    Check(
        "keep_count_exact",
        "What is kept is exactly what the rule says, counted again. If not, look at `kept` beside the scores.",
        keep_count_exact,
        blocking=True,
        reads=(PoolScoresResult, PoolTokensResult),
    ),
)
