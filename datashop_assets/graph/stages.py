"""The graph: every stage, in the order in which data flows."""

from datashop_assets.annotations.stage import ANNOTATIONS
from datashop_assets.annotator_report.stage import ANNOTATOR_REPORT
from datashop_assets.data_card.stage import data_card
from datashop_assets.encoder.stage import ENCODER, POOL_EMBEDDINGS
from datashop_assets.evaluation.stage import EVALUATION, EVALUATION_TARGETS
from datashop_assets.filtered_pool.stage import FILTERED_POOL, KEEP_CERTIFICATE, POOL_SCORES
from datashop_assets.graph.stage import Stage
from datashop_assets.rubric.stage import RUBRIC
from datashop_assets.sources.stage import ANNOTATION_SAMPLE, PRETRAINING_POOL
from datashop_assets.trained_lm.stage import CONTROL_LM, DECONTAMINATION, MATCHED_LM, POOL_TOKENS, TRAINED_LM
from datashop_assets.training_set.stage import TRAINING_SET

BEFORE_THE_CARD: tuple[Stage, ...] = (
    PRETRAINING_POOL,
    ANNOTATION_SAMPLE,
    POOL_EMBEDDINGS,
    RUBRIC,
    ANNOTATIONS,
    ANNOTATOR_REPORT,
    TRAINING_SET,
    ENCODER,
    POOL_TOKENS,
    POOL_SCORES,
    KEEP_CERTIFICATE,
    FILTERED_POOL,
    DECONTAMINATION,
    CONTROL_LM,
    MATCHED_LM,
    TRAINED_LM,
    EVALUATION_TARGETS,
    EVALUATION,
)
DATA_CARD = data_card(BEFORE_THE_CARD)
GRAPH: tuple[Stage, ...] = (*BEFORE_THE_CARD, DATA_CARD)
