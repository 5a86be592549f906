"""An encoder's result, made by hand."""

from typing import Any

from datashop_assets.encoder.results import CascadeReport, EncoderResult
from datashop_assets.statistics.figure import Figure

GOOD = Figure(value=0.9, low=0.8, high=0.95)
CASCADE = CascadeReport(
    cut=0.0,
    passed=30,
    documents=100,
    share=0.3,
    lost_positives=1,
    positives=20,
    recall=GOOD,
    auc=GOOD,
    auc_second_alone=GOOD,
    auc_cost=GOOD,
)


def encoder_result(**changes: Any) -> EncoderResult:
    """An encoder that is better than its baselines, on a pool without gold."""
    names = ("auc", "spearman", "average_precision", "precision", "recall", "f1", "macro_f1")
    fields: dict[str, Any] = dict.fromkeys(names, GOOD)
    half = Figure(value=0.5, low=0.4, high=0.6)
    fields |= {"documents": 100, "positives": 20, "positive_at": 0.5, "baseline_auc": {"length": half, "source": half}}
    return EncoderResult(**{**fields, "gold": None, "cascade": None, **changes})
