"""The errors that a person should read: the labelled documents on which encoder and annotator differ most."""

from typing import Any

import numpy as np
import polars as pl

from datashop_assets.statistics.intervals import Array

SHOWN = 8  # of each side
BEGINNING = 300  # characters


def errors_to_read(rows: pl.DataFrame, scores: Array) -> dict[str, list[dict[str, Any]]]:
    """False positives with the highest scores out of fold [documents], false negatives with the lowest.

    Texts are data from the pool: escape them where they are shown.
    """
    scored = rows.with_columns(score=pl.Series(np.asarray(scores)))
    highest_first, lowest_first = (scored.sort("score", "id", descending=descending) for descending in (True, False))
    wrong = {
        "false_positives": highest_first.filter((pl.col("label") == 0) & (pl.col("score") >= 0.5)),
        "false_negatives": lowest_first.filter((pl.col("label") == 1) & (pl.col("score") < 0.5)),
    }
    return {name: _shown(found) for name, found in wrong.items()}


def _shown(found: pl.DataFrame) -> list[dict[str, Any]]:
    columns = ("id", "source", "expected_score", "score")
    beginning = pl.col("text").str.slice(0, BEGINNING).alias("text")
    return found.head(SHOWN).select(*columns, beginning).to_dicts()
