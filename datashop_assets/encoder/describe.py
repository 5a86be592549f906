"""The encoder's report as a person browses it: figures with intervals beside what length and source alone reach."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from datashop_assets.markdown import table
from datashop_assets.sources.describe import escaped
from datashop_assets.storage.stage_folder import StageFolder

FIGURES = {
    "auc": "AUC",
    "length_auc": "AUC of length alone",
    "source_auc": "AUC of source alone",
    "spearman": "Spearman with the expected score",
    "average_precision": "average precision",
    "precision": "precision at 0.5",
    "recall": "recall at 0.5",
    "f1": "F1 at 0.5",
    "precision_at_share": "precision when as many are kept as there are positives",
    "brier": "Brier score",
}
TITLES = {
    "labels": "on labels it has not seen",
    "gold": "on held-out gold",
    "annotator": "the annotator on gold",
}
SHOWN = 6


def describe(folder: StageFolder) -> Mapping[str, str]:
    """Title -> markdown. Text of documents is escaped."""
    report = json.loads(folder.file("report.json").read_text())
    shown = {title: figures(report[part]) for part, title in TITLES.items() if report[part]}
    return {**shown, "reliability": reliability(report["labels"]["all"]), "least certain": least_certain(folder)}


def figures(part: Mapping[str, Any]) -> str:
    """A row a figure, a column for all documents and one for each source."""
    columns = {"all": part["all"], **part["within"]}
    head = (
        "",
        *(f"{escaped(name)}: {one['positives']} of {one['documents']} positive" for name, one in columns.items()),
    )
    return table(head, _rows(list(columns.values())))


def _rows(columns: list[Mapping[str, Any]]) -> Iterator[list[str]]:
    for name, title in FIGURES.items():
        cells = [interval(one["metrics"][name]) if name in one["metrics"] else "" for one in columns]
        if any(cells):
            yield [title, *cells]


def interval(figure: Mapping[str, float]) -> str:
    return f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"


def reliability(summary: Mapping[str, Any]) -> str:
    rows = [
        (
            f"{one['from']:.1f} to {one['to']:.1f}",
            one["documents"],
            f"{one['predicted']:.3f}",
            interval(one["observed"]),
        )
        for one in summary.get("reliability", [])
    ]
    return table(("predicted", "documents", "mean prediction", "share of positives"), rows)


def least_certain(folder: StageFolder) -> str:
    """The labelled documents whose out-of-fold score is nearest to one half."""
    nearest = folder.table("out_of_fold.parquet").sort((pl.col("score") - 0.5).abs(), "id").head(SHOWN)
    return table(
        ("id", "source", "annotator's score", "encoder's score"),
        [
            (escaped(row["id"]), escaped(row["source"]), f"{row['expected_score']:.2f}", f"{row['score']:.3f}")
            for row in nearest.iter_rows(named=True)
        ],
    )
