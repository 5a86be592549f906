"""What a person sees of an encoder: figures with intervals beside what length and source alone reach, and two plots."""

import base64
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING

from datashop_assets.core.step import StepOutput
from datashop_assets.encoder.results import (
    BASELINES,
    OUT_OF_FOLD,
    PRECISION_RECALL,
    RELIABILITY,
    CascadeReport,
    EncoderResult,
    LabelError,
    PoolEmbeddingsResult,
    ReliabilityBin,
    Summary,
    SummaryBySource,
    encoder_report,
)
from datashop_assets.markdown import escaped, table
from datashop_assets.statistics.figure import Figure

if TYPE_CHECKING:
    from matplotlib import figure as matplotlib_figure
    from matplotlib.axes import Axes

    from datashop_assets.encoder.measures import ScoredSample
    from datashop_assets.statistics.intervals import Array

COMPARED = {
    "auc": "AUC",
    "spearman": "Spearman with the expected score",
    "average_precision": "average precision",
    "f1": "F1",
    "macro_f1": "macro F1",
}
ALONE = {
    "precision": "precision",
    "recall": "recall",
    "precision_at_share": "precision when as many are kept as there are positives",
    "brier": "Brier score",
    "bias": "mean score less the mean of what it should be",
}
LEAST_CERTAIN = 6  # documents that are shown
INCHES, DOTS = (4.5, 4.0), 110


def describe(output: StepOutput[EncoderResult]) -> Mapping[str, str]:
    """Title -> Markdown. Text of documents is escaped."""
    report = encoder_report(output)
    comparisons = {
        "on labels it has not seen": report.labels,
        "on held-out gold": report.gold,
        "the annotator on gold": report.annotator,
    }
    return {
        "taken for positive": f"Documents with a score of {output.result.positive_at:g} or more.",
        **{title: figures_table(part) for title, part in comparisons.items() if part},
        **({"cascade": _cascade(report.cascade)} if report.cascade else {}),
        "reliability": f"{_picture(output, RELIABILITY)}\n\n{_reliability_table(report.labels.all.reliability)}",
        "precision and recall": _picture(output, PRECISION_RECALL),
        "least certain": _least_certain(output),
        "false positives": errors_table(report.false_positives),
        "false negatives": errors_table(report.false_negatives),
    }


def describe_embeddings(output: StepOutput[PoolEmbeddingsResult]) -> Mapping[str, str]:
    made = output.result
    return {"embeddings": f"{made.documents} documents, {made.width} numbers each, {made.bytes / 1e6:.1f} MB."}


def figures_table(part: SummaryBySource) -> str:
    """A row a figure, a column for all documents and one for each source."""
    columns = {"all": part.all, **part.within}
    head = ("", *(f"{escaped(name)}: {one.positives} of {one.documents} positive" for name, one in columns.items()))
    cells = [_titled(one) for one in columns.values()]
    return table(head, [[title, *texts] for title in cells[0] if any(texts := [one[title] for one in cells])])


def _titled(summary: Summary) -> dict[str, str]:
    """Title -> figure as text, empty where there is none."""
    own: dict[str, Figure | None] = {**dict(summary.figures or ()), "spearman": summary.spearman, "bias": summary.bias}
    beside: dict[str, dict[str, Figure | None]] = {name: dict(one) for name, one in summary.baselines.items()}
    titled: dict[str, Figure | None] = {}
    for name, title in COMPARED.items():
        titled[title] = own.get(name)
        titled |= {f"{title} of {one} alone": beside.get(one, {}).get(name) for one in BASELINES}
    titled |= {title: own.get(name) for name, title in ALONE.items()}
    return {title: "" if figure is None else str(figure) for title, figure in titled.items()}


def _cascade(found: CascadeReport) -> str:
    """What the first encoder keeps from the second."""
    counts = (
        f"{found.passed} of {found.documents} labelled documents are passed on ({found.share:.1%} by weight); "
        f"{found.lost_positives} of {found.positives} positives are not."
    )
    figures = [
        ("recall of the first encoder: positives passed on", found.recall),
        ("AUC of the cascade", found.auc),
        ("AUC where the second encoder reads everything", found.auc_second_alone),
        ("what passing on costs in AUC", found.auc_cost),
    ]
    rows = [(title, "too few positives" if figure is None else str(figure)) for title, figure in figures]
    return f"{counts}\n\n{table(('on labels out of fold', ''), rows)}"


def _reliability_table(bins: Sequence[ReliabilityBin]) -> str:
    rows = [
        (f"{one.low:.1f} to {one.high:.1f}", one.documents, f"{one.predicted:.3f}", str(one.observed)) for one in bins
    ]
    return table(("score", "documents", "mean score", "mean of what it should be"), rows)


def _least_certain(output: StepOutput[EncoderResult]) -> str:
    """The labelled documents whose out-of-fold score is nearest to the one from which a document is positive."""
    import polars as pl

    distance = (pl.col("score") - output.result.positive_at).abs()
    nearest = output.table(OUT_OF_FOLD).sort(distance, "id").head(LEAST_CERTAIN)
    rows = [
        (escaped(row["id"]), escaped(row["source"]), f"{row['expected_score']:.2f}", f"{row['score']:.3f}")
        for row in nearest.iter_rows(named=True)
    ]
    return table(("id", "source", "annotator's score", "encoder's score"), rows)


def errors_table(errors: Sequence[LabelError]) -> str:
    rows = [(escaped(one.text), escaped(one.source), f"{one.expected_score:.2f}", f"{one.score:.3f}") for one in errors]
    return table(("text", "source", "annotator's score", "encoder's score"), rows)


def _picture(output: StepOutput[EncoderResult], name: str) -> str:
    data = base64.b64encode(output.file(name).read_bytes()).decode()
    return f"![{name.removesuffix('.png').replace('_', ' ')}](data:image/png;base64,{data})"


def draw_reliability(bins: Sequence[ReliabilityBin]) -> bytes:
    """PNG: scores against the mean of what they should be, with intervals, a point for each bin."""
    import numpy as np

    figure, axes = _axes("score of the encoder", "mean of what it should be")
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    for one in bins:
        value = one.observed.value
        below, above = (value if end is None else end for end in (one.observed.low, one.observed.high))
        arms = np.clip([[value - below], [above - value]], 0, None)
        axes.errorbar(one.predicted, value, yerr=arms, fmt="o", color="C0", markersize=4, capsize=2)
        axes.annotate(str(one.documents), (one.predicted, value), (4, -9), textcoords="offset points", size=7)
    return _png(figure)


def draw_precision_recall(sample: "ScoredSample") -> bytes:
    """PNG: the curve of the encoder, those of its baselines, and the share of positives that chance reaches.

    Empty where one of the classes has no document.
    """
    import numpy as np

    from datashop_assets.statistics.ranking import precision_recall_curve

    figure, axes = _axes("recall", "precision")
    curves: list[tuple[str, Array]] = [("encoder", sample.rank), *sample.baselines.items()]
    for name, scores in curves if sample.fewest else []:
        recall, precision = precision_recall_curve(scores, sample.label, sample.weight)
        axes.step(recall, precision, where="post", label=name, linewidth=1.8 if name == "encoder" else 1)
    axes.axhline(float(np.average(sample.label, weights=sample.weight)), color="0.7", linewidth=1, label="chance")
    axes.legend(loc="lower left", fontsize=8, frameon=False)
    return _png(figure)


def _axes(across: str, up: str) -> "tuple[matplotlib_figure.Figure, Axes]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=INCHES, dpi=DOTS, layout="constrained")
    axes = figure.add_subplot(xlabel=across, ylabel=up, xlim=(0, 1.02), ylim=(0, 1.02))
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _png(figure: "matplotlib_figure.Figure") -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
