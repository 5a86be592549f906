"""Predictions for every labelled document by models that did not see it: with few labels none can be set aside.

The folds' models train side by side, a thread each: fastText waits for a process of its own, JAX lets go of Python.
"""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl

from datashop_assets.encoder.baselines import Baselines
from datashop_assets.protocols.encoder import Encoder, EncoderKind, Labelled
from datashop_assets.statistics.intervals import Array

SEED = 0


def fit(kind: EncoderKind, rows: pl.DataFrame, folder: Path) -> Encoder:
    return kind.fit(labelled(rows), seed=SEED, folder=folder)


def labelled(rows: pl.DataFrame) -> Labelled:
    columns = ("text", "label", "expected_score", "weight", "repeat")
    return Labelled(*(rows[name].to_list() for name in columns))


def out_of_fold(kind: EncoderKind, rows: pl.DataFrame, folder: Path) -> Array:
    """Margins of the encoder, float64 [documents], in the order of `rows`."""
    found = np.zeros(len(rows))
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for fold, margins in threads.map(lambda fold: (fold, _unseen(kind, rows, fold, folder)), _folds(rows)):
            found[(rows["fold"] == fold).to_numpy()] = margins
    return found


def _unseen(kind: EncoderKind, rows: pl.DataFrame, fold: int, folder: Path) -> Array:
    model = fit(kind, rows.filter(pl.col("fold") != fold), folder / f"fold-{fold}")
    return model.margin(rows.filter(pl.col("fold") == fold)["text"].to_list())


def baselines_out_of_fold(rows: pl.DataFrame) -> Mapping[str, Array]:
    """Scores by length alone and by source alone, each float64 [documents]."""
    found = {name: np.zeros(len(rows)) for name in ("length", "source")}
    for fold in _folds(rows):
        inside, unseen = (rows["fold"] == fold).to_numpy(), rows.filter(pl.col("fold") == fold)
        lengths, sources = unseen["characters"].to_list(), unseen["source"].to_list()
        for name, scores in baselines_of(rows.filter(pl.col("fold") != fold)).scores(lengths, sources).items():
            found[name][inside] = scores
    return found


def baselines_of(rows: pl.DataFrame) -> Baselines:
    lengths, sources = rows["characters"].to_list(), rows["source"].to_list()
    return Baselines(lengths, sources, floats(rows, "label"), floats(rows, "weight"))


def floats(rows: pl.DataFrame, column: str) -> Array:
    return rows[column].cast(pl.Float64).to_numpy()


def _folds(rows: pl.DataFrame) -> list[int]:
    return sorted(set(rows["fold"]))
