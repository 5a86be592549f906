"""Makes the encoder: predictions out of fold, calibration on them, one model on all labels, and the report.

Artifacts: the model's files, `encoder.json`, `report.json`, two plots; shard `out_of_fold.parquet`, a row a labelled
document. A transformer's files are a folder that `AutoModelForSequenceClassification` loads.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from datashop_assets.core.step import Metrics, OpenRun
from datashop_assets.documents.embedded import load_gold
from datashop_assets.documents.pool import read_chosen
from datashop_assets.encoder.folds import baselines_of, baselines_out_of_fold
from datashop_assets.encoder.learning import learn
from datashop_assets.encoder.metrics import FEWEST
from datashop_assets.encoder.plots import precision_recall, reliability
from datashop_assets.encoder.reading import errors_to_read
from datashop_assets.encoder.report import (
    Gold,
    annotator_on_gold,
    headline,
    labels_sample,
    on_cascade,
    on_gold,
    on_labels,
)
from datashop_assets.encoder.trained import TrainedEncoder
from datashop_assets.protocols.documents import Document
from datashop_assets.statistics.figure import Figure
from datashop_assets.statistics.intervals import Array
from datashop_assets.storage.stage_folder import StageFolder

REPORT, PREDICTIONS = "report.json", "out_of_fold.parquet"
RELIABILITY, PRECISION_RECALL = "reliability.png", "precision_recall.png"
PREDICTED = {
    "id": pl.String,
    "source": pl.String,
    "label": pl.Int8,
    "expected_score": pl.Float64,
    "margin": pl.Float64,
    "score": pl.Float64,
}


def build(run: OpenRun) -> Metrics:
    """Metrics: the headline figures of the report, each with `_low` and `_high`."""
    rows = run.inputs["training_set"].table("training_set.parquet")
    refuse_few(rows)
    learnt = learn(run, rows)
    encoder = TrainedEncoder(learnt.model, learnt.calibration, run.config["read_characters"], run.config["reading"])
    sample = labels_sample(rows, learnt, baselines_out_of_fold(rows))
    report = {
        "labels": on_labels(sample, rows),
        **_gold_reports(run, encoder, rows),
        "cascade": on_cascade(learnt, rows),
        "errors": errors_to_read(rows, learnt.scores),
    }
    refuse_useless(Figure.from_json(report["labels"]["all"]["metrics"]["auc"]))
    encoder.save(run.output, run.config)
    run.output.write_rows(PREDICTIONS, _predictions(rows, learnt.margins, learnt.scores), PREDICTED)
    run.output.put_bytes(REPORT, json.dumps(report, indent=1).encode())
    run.output.put_bytes(RELIABILITY, reliability(report["labels"]["all"]), identity=False)
    run.output.put_bytes(PRECISION_RECALL, precision_recall(sample), identity=False)
    return headline(report)


def refuse_few(rows: pl.DataFrame) -> None:
    """Raises `ValueError` unless both classes have enough documents to learn from and to measure on."""
    positives = int(rows["label"].sum())
    if min(positives, len(rows) - positives) < FEWEST:
        raise ValueError(
            f"the training set has {positives} positives and {len(rows) - positives} negatives; an encoder needs at "
            f"least {FEWEST} of each. Raise annotator.documents, or change labels.positive_from in the prompt"
        )


def refuse_useless(auc: Figure | None) -> None:
    """Raises `ValueError` when the encoder ranks unseen labels worse than chance, which no sound training does."""
    if auc is not None and auc.high is not None and auc.high < 0.5:
        raise ValueError(
            f"the encoder's AUC on labels it has not seen is {auc.value:.3f} (95% interval {auc.interval()}), worse "
            "than chance: its training went wrong, so no model is kept"
        )


def _gold_reports(run: OpenRun, encoder: TrainedEncoder, rows: pl.DataFrame) -> dict[str, Any]:
    gold = Gold(load_gold(run.cache, run.config["gold_uri"]), run.config["gold"])
    if not gold:
        return {"gold": None, "annotator": None}
    documents = heldout(run.inputs["pretraining_pool"])
    return {
        "gold": on_gold(encoder, baselines_of(rows), documents, gold),
        "annotator": annotator_on_gold(rows, gold),
    }


def heldout(pool: StageFolder) -> Iterator[Document]:
    """Every held-out document."""
    for shard in (file.name for file in pool.shards):
        chosen = (row["row"] for row in pool.rows(shard) if row["split"] == "heldout")
        yield from (document for _, document in read_chosen(pool, Path(shard).stem, chosen))


def _predictions(rows: pl.DataFrame, margins: Array, scores: Array) -> Iterator[dict[str, Any]]:
    columns = rows.select("id", "source", "label", "expected_score").iter_rows(named=True)
    for row, margin, score in zip(columns, margins, scores, strict=True):
        yield {**row, "margin": float(margin), "score": float(np.clip(score, 0.0, 1.0))}
