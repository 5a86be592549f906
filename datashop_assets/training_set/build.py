"""Makes the training set: `training_set.parquet` with every label, `left_out.parquet` with every annotation unused."""

from collections import Counter
from collections.abc import Sequence

import polars as pl

from datashop_assets.core.step import Metrics, OpenRun
from datashop_assets.training_set.labels import FOLDS, Row, labelled, split_usable

LABELS, LEFT_OUT = "training_set.parquet", "left_out.parquet"
SCHEMA = {
    "id": pl.String,
    "source": pl.String,
    "text": pl.String,
    "characters": pl.Int64,  # of the whole document, of which `text` may be a part
    "expected_score": pl.Float64,
    "label": pl.Int8,
    "weight": pl.Float64,
    "repeat": pl.Int32,
    "fold": pl.Int8,
}
LEFT_OUT_SCHEMA = {"id": pl.String, "source": pl.String, "status": pl.String, "reason": pl.String}


def build(run: OpenRun) -> Metrics:
    """Metrics: documents, positives, positive_share (weighted: of the sample), left_out by status, by fold."""
    used, left_out = split_usable(run.inputs["annotations"].all_rows())
    rows = labelled(used, run.config["positive_from"], run.config["balance"])
    run.output.write_rows(LABELS, rows, SCHEMA)
    run.output.write_rows(LEFT_OUT, left_out, LEFT_OUT_SCHEMA, beside=True)
    return _metrics(rows, left_out)


def _metrics(rows: Sequence[Row], left_out: Sequence[Row]) -> Metrics:
    positives = [row for row in rows if row["label"]]
    total = sum(row["weight"] for row in rows)
    return {
        "annotated": len(rows) + len(left_out),
        "documents": len(rows),
        "positives": len(positives),
        "positive_share": sum(row["weight"] for row in positives) / total if total else None,
        "positive_repeat": positives[0]["repeat"] if positives else 1,
        "left_out": dict(Counter(row["status"] for row in left_out)),
        "by_source": {
            source: {"documents": count, "positives": sum(row["source"] == source for row in positives)}
            for source, count in sorted(Counter(row["source"] for row in rows).items())
        },
        "by_fold": [sum(row["fold"] == fold for row in rows) for fold in range(FOLDS)],
    }
