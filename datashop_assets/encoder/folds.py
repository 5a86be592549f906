"""Predictions for every labelled document by models that did not see it: with few labels none can be set aside.

The folds' models train side by side, a thread each, because each waits for a process of its own.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl

from datashop_assets.encoder.agreement import Array
from datashop_assets.encoder.baselines import Baselines
from datashop_assets.protocols.encoder import Encoder, EncoderKind

SEED = 0


def fit(kind: EncoderKind, rows: pl.DataFrame, folder: Path) -> Encoder:
    texts, labels, repeats = (rows[name].to_list() for name in ("text", "label", "repeat"))
    return kind.fit(texts, labels, repeats, seed=SEED, folder=folder)


def baselines_of(rows: pl.DataFrame) -> Baselines:
    lengths, sources = rows["characters"].to_list(), rows["source"].to_list()
    return Baselines(lengths, sources, floats(rows, "label"), floats(rows, "weight"))


def out_of_fold(kind: EncoderKind, rows: pl.DataFrame, folder: Path) -> tuple[Array, dict[str, Array]]:
    """Margins of the encoder and scores of the baselines, float64 [documents], in the order of `rows`."""
    found = {name: np.zeros(len(rows)) for name in ("margin", "length", "source")}
    folds = sorted(set(rows["fold"]))
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        models = threads.map(
            lambda fold: fit(kind, rows.filter(pl.col("fold") != fold), folder / f"fold-{fold}"), folds
        )
        for fold, model in zip(folds, models, strict=True):
            inside, unseen = (rows["fold"] == fold).to_numpy(), rows.filter(pl.col("fold") == fold)
            lengths, sources = unseen["characters"].to_list(), unseen["source"].to_list()
            guesses = baselines_of(rows.filter(pl.col("fold") != fold)).scores(lengths, sources)
            for name, scores in {"margin": model.margin(unseen["text"].to_list()), **guesses}.items():
                found[name][inside] = scores
    return found.pop("margin"), found


def floats(rows: pl.DataFrame, column: str) -> Array:
    return rows[column].cast(pl.Float64).to_numpy()
