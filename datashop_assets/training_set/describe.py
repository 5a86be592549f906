"""The training set as a person browses it."""

from collections.abc import Mapping

from datashop_assets.markdown import escaped, table
from datashop_assets.storage.stage_folder import StageFolder


def describe(folder: StageFolder) -> Mapping[str, str]:
    """Title -> markdown: labels by source, and what was left out."""
    metrics = folder.metrics
    rows = [(escaped(name), one["documents"], one["positives"]) for name, one in metrics["by_source"].items()]
    labels = table(("source", "documents", "positives"), [*rows, ("all", metrics["documents"], metrics["positives"])])
    left_out = ", ".join(f"{count} {status}" for status, count in metrics["left_out"].items()) or "none"
    share = metrics["positive_share"] or 0.0
    said = (
        f"Weighted by importance, {share:.1%} are positive. Left out of {metrics['annotated']} annotated: {left_out}."
    )
    return {"labels": f"{labels}\n\n{said}"}
