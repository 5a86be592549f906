"""The metric file of a training run and its picture: loss, learning rate, tokens a second and use of the machine."""

import io
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import polars as pl

from datashop_assets.trained_lm.loop import Trained
from datashop_assets.trained_lm.program import schedule
from datashop_assets.trained_lm.settings import TrainingSettings

CURVE = "curve.parquet"
PLOT = "training.png"
CURVE_SCHEMA = {
    "seed": pl.Int32,
    "step": pl.Int32,
    "loss": pl.Float32,  # nats a token
    "learning_rate": pl.Float32,
    "tokens": pl.Int64,  # read so far
    "tokens_per_second": pl.Float32,
    "mfu": pl.Float32,  # of the rate at which its devices multiply matrices
}
VOLATILE = ("tokens_per_second", "mfu")
PANELS = (
    ("loss", "loss, nats a token"),
    ("learning_rate", "learning rate"),
    ("tokens_per_second", "tokens a second"),
    ("mfu", "share of the matrix rate (MFU)"),
)
Row = dict[str, Any]


def curve_rows(trained: Sequence[Trained], settings: TrainingSettings, flops: int) -> Iterator[Row]:
    """A row for every seed and step. `flops`: operations that one token takes."""
    rate_at = schedule(settings)
    rates = np.asarray([rate_at(step) for step in range(settings.steps)], dtype=np.float32)
    batch = settings.batch * settings.length
    for result in trained:
        for step, ((loss, seconds), learning_rate) in enumerate(
            zip(result.history.tolist(), rates.tolist(), strict=True)
        ):
            pace = batch / max(seconds, 1e-9)
            yield {
                "seed": result.seed,
                "step": step,
                "loss": loss,
                "learning_rate": learning_rate,
                "tokens": (step + 1) * batch,
                "tokens_per_second": pace,
                "mfu": pace * flops / result.rate,
            }


def plot(rows: Sequence[Row]) -> bytes:
    """The four columns over steps, a line a seed, as PNG: some 40 kB however many steps there are."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5), dpi=75, layout="constrained")
    for axes, (column, title) in zip(figure.subplots(2, 2).flat, PANELS, strict=True):
        for seed, part in groupby(rows, key=lambda row: row["seed"]):
            found = list(part)
            axes.plot([row["step"] for row in found], [row[column] for row in found], linewidth=0.9, label=str(seed))
        axes.set_title(title, fontsize=9)
        axes.tick_params(labelsize=8)
    figure.axes[0].legend(title="seed", fontsize=7, title_fontsize=7)
    file = io.BytesIO()
    FigureCanvasAgg(figure).print_png(file)  # type: ignore[no-untyped-call]
    return file.getvalue()
