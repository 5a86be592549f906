"""Makes the encoder: predictions out of fold, calibration on them, one model on all labels, and the report.

Artifacts: the model's files, `encoder.json`, `report.json`; shard `out_of_fold.parquet`, a row a labelled document.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from datashop_assets.encoder.agreement import Array
from datashop_assets.encoder.calibration import fit_platt
from datashop_assets.encoder.folds import baselines_of, fit, floats, out_of_fold
from datashop_assets.encoder.kinds import kind_of
from datashop_assets.encoder.metrics import FEWEST
from datashop_assets.encoder.report import Gold, annotator_on_gold, headline, on_gold, on_labels
from datashop_assets.encoder.trained import TrainedEncoder
from datashop_assets.protocols.documents import Document
from datashop_assets.sources.gold import load_gold
from datashop_assets.sources.pool import read_pool
from datashop_assets.stage import Metrics, StageTask
from datashop_assets.storage.stage_folder import StageFolder

REPORT, PREDICTIONS = "report.json", "out_of_fold.parquet"
PREDICTED = {
    "id": pl.String,
    "source": pl.String,
    "label": pl.Int8,
    "expected_score": pl.Float64,
    "margin": pl.Float64,
    "score": pl.Float64,
}


def build(task: StageTask) -> Metrics:
    """Metrics: the headline figures of the report, each with `_low` and `_high`."""
    rows = task.inputs["training_set"].table("training_set.parquet")
    refuse_few(rows)
    kind = kind_of(task.config)
    margins, baselines = out_of_fold(kind, rows, task.output.scratch)
    calibration = fit_platt(margins, floats(rows, "label"), floats(rows, "weight"))
    scores = calibration.probability(margins)
    model = fit(kind, rows, task.output.scratch / "final")
    encoder = TrainedEncoder(model, calibration, task.config["read_characters"])
    report = {"labels": on_labels(rows, scores, baselines), **_gold_reports(task, encoder, rows)}
    refuse_useless(report["labels"]["all"]["metrics"]["auc"])
    encoder.save(task.output, task.config)
    task.output.write_rows(PREDICTIONS, _predictions(rows, margins, scores), PREDICTED)
    task.output.put_bytes(REPORT, json.dumps(report, indent=1).encode())
    return headline(report)


def refuse_few(rows: pl.DataFrame) -> None:
    """Raises `ValueError` unless both classes have enough documents to learn from and to measure on."""
    positives = int(rows["label"].sum())
    if min(positives, len(rows) - positives) < FEWEST:
        raise ValueError(
            f"the training set has {positives} positives and {len(rows) - positives} negatives; an encoder needs at "
            f"least {FEWEST} of each. Raise annotator.documents, or change labels.positive_from in the prompt"
        )


def refuse_useless(auc: dict[str, float]) -> None:
    """Raises `ValueError` when the encoder ranks unseen labels worse than chance, which no sound training does."""
    if auc["high"] < 0.5:
        raise ValueError(
            f"the encoder's AUC on labels it has not seen is {auc['value']:.3f} (95% interval {auc['low']:.3f} to "
            f"{auc['high']:.3f}), worse than chance: its training went wrong, so no model is kept"
        )


def _gold_reports(task: StageTask, encoder: TrainedEncoder, rows: pl.DataFrame) -> dict[str, Any]:
    gold = Gold(load_gold(task.cache, task.config["gold_uri"]), task.config["gold"])
    if not gold:
        return {"gold": None, "annotator": None}
    documents = heldout(task.inputs["pretraining_pool"])
    return {
        "gold": on_gold(encoder, baselines_of(rows), documents, gold),
        "annotator": annotator_on_gold(rows, gold),
    }


def heldout(pool: StageFolder) -> Iterator[Document]:
    """Every held-out document."""
    for shard in (file.name for file in pool.shards):
        chosen = {row["row"] for row in pool.rows(shard) if row["split"] == "heldout"}
        for row, document in read_pool(pool, Path(shard).stem):
            if row in chosen:
                yield document


def _predictions(rows: pl.DataFrame, margins: Array, scores: Array) -> Iterator[dict[str, Any]]:
    columns = rows.select("id", "source", "label", "expected_score").iter_rows(named=True)
    for row, margin, score in zip(columns, margins, scores, strict=True):
        yield {**row, "margin": float(margin), "score": float(np.clip(score, 0.0, 1.0))}
