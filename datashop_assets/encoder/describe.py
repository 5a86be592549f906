"""The encoder's report as a person browses it: figures with intervals beside what length and source alone reach."""

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from datashop_assets.markdown import escaped, table
from datashop_assets.statistics.figure import Figure
from datashop_assets.storage.stage_folder import StageFolder

COMPARED = {
    "auc": "AUC",
    "spearman": "Spearman with the expected score",
    "average_precision": "average precision",
    "f1": "F1 at 0.5",
    "macro_f1": "macro F1 at 0.5",
}
ALONE = {"": "", "length_": " of length alone", "source_": " of source alone"}
FIGURES = {f"{who}{name}": f"{title}{alone}" for name, title in COMPARED.items() for who, alone in ALONE.items()} | {
    "precision": "precision at 0.5",
    "recall": "recall at 0.5",
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
    """Title -> markdown, for each of this room's stages. Text of documents is escaped."""
    if folder.manifest.stage == "pool_embeddings":
        return {"embeddings": embeddings(folder.metrics)}
    report = json.loads(folder.file("report.json").read_text())
    shown = {title: figures(report[part]) for part, title in TITLES.items() if report[part]}
    if report["cascade"]:
        shown["cascade"] = cascade(report["cascade"])
    return {
        **shown,
        "reliability": f"{picture(folder, 'reliability.png')}\n\n{reliability(report['labels']['all'])}",
        "precision and recall": picture(folder, "precision_recall.png"),
        "least certain": least_certain(folder),
        **{name.replace("_", " "): errors(rows) for name, rows in report["errors"].items()},
    }


def embeddings(metrics: Mapping[str, Any]) -> str:
    if metrics["state"] == "not asked":
        return "Not asked: the prompt's encoder reads texts, not embeddings."
    return f"{metrics['documents']} documents, {metrics['width']} numbers each, {metrics['bytes'] / 1e6:.1f} MB."


def picture(folder: StageFolder, name: str) -> str:
    data = base64.b64encode(folder.file(name).read_bytes()).decode()
    return f"![{name.removesuffix('.png').replace('_', ' ')}](data:image/png;base64,{data})"


def cascade(found: Mapping[str, Any]) -> str:
    """What the first encoder keeps from the second."""
    names = {
        "recall": "recall of the first encoder: positives passed on",
        "auc": "AUC of the cascade",
        "auc_second_alone": "AUC where the second encoder reads everything",
        "auc_cost": "what passing on costs in AUC",
    }
    rows = [(title, _text(found["metrics"][name])) for name, title in names.items()]
    said = (
        f"{found['passed']} of {found['documents']} labelled documents are passed on ({found['share']:.1%} by weight); "
        f"{found['lost_positives']} of {found['positives']} positives are not."
    )
    return f"{said}\n\n{table(('on labels out of fold', ''), rows)}"


def errors(rows: list[Mapping[str, Any]]) -> str:
    return table(
        ("text", "source", "annotator's score", "encoder's score"),
        [
            (escaped(row["text"]), escaped(row["source"]), f"{row['expected_score']:.2f}", f"{row['score']:.3f}")
            for row in rows
        ],
    )


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
        cells = [_text(one["metrics"].get(name)) for one in columns]
        if any(cells):
            yield [title, *cells]


def _text(stored: Mapping[str, Any] | None) -> str:
    figure = Figure.from_json(stored)
    return "" if figure is None else str(figure)


def reliability(summary: Mapping[str, Any]) -> str:
    rows = [
        (
            f"{one['from']:.1f} to {one['to']:.1f}",
            one["documents"],
            f"{one['predicted']:.3f}",
            _text(one["observed"]),
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
