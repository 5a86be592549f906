"""Predictions for every labelled document by models that did not see it: with few labels none can be set aside."""

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from datashop_assets.encoder.agreement import Array
from datashop_assets.encoder.baselines import Baselines
from datashop_assets.protocols.encoder import Encoder, EncoderKind

SEED = 0


def fit(kind: EncoderKind, rows: pl.DataFrame, folder: Path) -> Encoder:
    texts, labels, repeats = (rows[name].to_list() for name in ("text", "label", "repeat"))
    return kind.fit(texts, labels, repeats, seed=SEED, folder=folder)


def baselines_of(rows: pl.DataFrame) -> Baselines:
    return Baselines(rows["text"].to_list(), rows["source"].to_list(), floats(rows, "label"), floats(rows, "weight"))


def out_of_fold(kind: EncoderKind, rows: pl.DataFrame, folder: Path) -> tuple[Array, dict[str, Array]]:
    """Margins of the encoder and scores of the baselines, float64 [documents], in the order of `rows`."""
    margins = np.zeros(len(rows))
    beside = {"length": np.zeros(len(rows)), "source": np.zeros(len(rows))}
    for fold in sorted(set(rows["fold"])):
        inside: NDArray[np.bool_] = (rows["fold"] == fold).to_numpy()
        seen, unseen = rows.filter(~inside), rows.filter(inside)
        margins[inside] = fit(kind, seen, folder / f"fold-{fold}").margin(unseen["text"].to_list())
        guesses = baselines_of(seen).scores(unseen["text"].to_list(), unseen["source"].to_list())
        for name, scores in guesses.items():
            beside[name][inside] = scores
    return margins, beside


def floats(rows: pl.DataFrame, column: str) -> Array:
    return rows[column].cast(pl.Float64).to_numpy()
