"""The graph: every step, in the order in which data flows. Assets, plan, CLI, Python API and card are made from it."""

from datashop_assets.annotations.steps import annotations, annotator_report
from datashop_assets.blind_test.steps import blind_test
from datashop_assets.core.plan import Graph, Plan, make_plan
from datashop_assets.data_card.steps import data_card
from datashop_assets.documents.steps import annotation_sample, pretraining_pool
from datashop_assets.encoder.steps import encoder, pool_embeddings
from datashop_assets.evaluation.steps import evaluation, evaluation_targets, sensitivity
from datashop_assets.filtered_pool.steps import filtered_pool, keep_certificate, pool_scores
from datashop_assets.prompts.prompt import Prompt
from datashop_assets.protocols.annotator import ModelNames
from datashop_assets.rubric.steps import rubric
from datashop_assets.storage.root import Root
from datashop_assets.trained_lm.steps import (
    control_lm,
    control_lm_second_rate,
    matched_lm,
    matched_lm_second_rate,
    trained_lm,
    trained_lm_second_rate,
)
from datashop_assets.training_documents.steps import decontamination, pool_tokens
from datashop_assets.training_set.steps import training_set

GRAPH = Graph(
    (
        pretraining_pool,
        annotation_sample,
        rubric,
        annotations,
        annotator_report,
        training_set,
        encoder,
        decontamination,
        pool_tokens,
        pool_embeddings,
        pool_scores,
        keep_certificate,
        filtered_pool,
        blind_test,
        control_lm,
        matched_lm,
        trained_lm,
        evaluation_targets,
        evaluation,
        control_lm_second_rate,
        matched_lm_second_rate,
        trained_lm_second_rate,
        sensitivity,
        data_card,
    )
)


def plan(prompt: Prompt, root: Root, annotator: ModelNames | None = None) -> Plan:
    """The plan of a prompt, for every entry point (see `deployment`).

    `annotator` is the one at hand, of which no more is asked than its identity. None, for who looks at a root alone,
    says nothing of revisions.
    """
    return make_plan(GRAPH, prompt, root, annotator)
