"""Dagster's door: the graph in the order in which data flows, its checks, what starts it, and what it runs on."""

from typing import Any

import dagster as dg

from datashop_assets.annotations.asset import annotations
from datashop_assets.annotations.checks import ANNOTATION_CHECKS
from datashop_assets.annotator_report.asset import annotator_report
from datashop_assets.automation import datashop, prompt_sensor
from datashop_assets.comparing.asset import prompts_compared
from datashop_assets.dagster_door.checking import matches_prompt_file
from datashop_assets.dagster_door.profiles import profile, resources
from datashop_assets.data_card.asset import data_card
from datashop_assets.encoder.asset import encoder, pool_embeddings
from datashop_assets.encoder.checks import beneath_the_ceiling, better_than_baselines
from datashop_assets.evaluation.asset import evaluation, evaluation_targets
from datashop_assets.filtered_pool.asset import filtered_pool, keep_certificate, pool_scores
from datashop_assets.filtered_pool.checks import keep_count_exact, pool_fully_scored
from datashop_assets.graph.stages import GRAPH
from datashop_assets.rubric.asset import rubric
from datashop_assets.sources.asset import annotation_sample, pretraining_pool
from datashop_assets.trained_lm.asset import control_lm, decontamination, matched_lm, pool_tokens, trained_lm
from datashop_assets.training_set.asset import training_set

ASSETS = [
    pretraining_pool,
    annotation_sample,
    pool_embeddings,
    rubric,
    annotations,
    annotator_report,
    training_set,
    encoder,
    pool_tokens,
    pool_scores,
    keep_certificate,
    filtered_pool,
    decontamination,
    control_lm,
    matched_lm,
    trained_lm,
    evaluation_targets,
    evaluation,
    data_card,
    prompts_compared,
]
CHECKS = [
    *ANNOTATION_CHECKS,
    better_than_baselines,
    beneath_the_ceiling,
    pool_fully_scored,
    keep_count_exact,
    *(matches_prompt_file(stage) for stage in GRAPH),
]


def definitions(executor: dg.ExecutorDefinition | None = None, **others: Any) -> dg.Definitions:
    """All definitions of the chosen profile, with another executor or other resources in place of some of its own.

    Raises `ValueError` where `DATASHOP_PROFILE` does not fit the other variables: the UI shows it as a load error.
    """
    chosen = profile()
    return dg.Definitions(
        assets=ASSETS,
        asset_checks=CHECKS,
        jobs=[datashop],
        sensors=[prompt_sensor],
        resources=resources() | others,
        executor=executor or chosen.executor,
    )


defs = definitions()
