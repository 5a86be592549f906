"""From labels to an encoder: predictions out of fold, calibration on them, and one model on all labels."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from datashop_assets.core.step import OpenRun
from datashop_assets.encoder import cascade
from datashop_assets.encoder.calibration import Calibrated, fit_calibration, of_labelled
from datashop_assets.encoder.folds import fit, floats, out_of_fold
from datashop_assets.encoder.kinds import FastTextKind, kind_of
from datashop_assets.protocols.encoder import Encoder, EncoderKind
from datashop_assets.statistics.intervals import Array
from datashop_assets.storage.writing import on_disk


@dataclass(frozen=True)
class Learnt:
    """A model on all labels, its calibration, and what models that had not seen them say of the labels."""

    model: Encoder
    calibration: Calibrated
    margins: Array  # [documents], out of fold
    scores: Array  # P(positive) [documents], of them
    cascade: Mapping[str, Any] | None = None  # what passing on costs, with the second encoder's margins `alone`


def learn(run: OpenRun, rows: pl.DataFrame) -> Learnt:
    """Trains what the configuration asks for on the rows of a training set."""
    kind, scratch = kind_of(run.config, run.cache), run.output.scratch
    kind.prepare(rows["text"].to_list(), scratch)
    margins = _kept(scratch / "margins.npy", lambda: out_of_fold(kind, rows, scratch))
    if "cascade" in run.config:
        return _learn_cascade(run, rows, kind, margins)
    calibration, scores = _calibrated(run.config, margins, rows, np.ones(len(rows), dtype=bool))
    return Learnt(fit(kind, rows, scratch / "final"), calibration, margins, scores)


def _learn_cascade(run: OpenRun, rows: pl.DataFrame, kind: EncoderKind, late: Array) -> Learnt:
    first, scratch = FastTextKind(run.config), run.output.scratch / "first"
    early = _kept(scratch / "margins.npy", lambda: out_of_fold(first, rows, scratch))
    labels, weights = floats(rows, "label"), floats(rows, "weight")
    cut = cascade.cut_of(early, weights, run.config["cascade"]["passes"])
    passed = early >= cut
    curve, scores = _calibrated(run.config, late, rows, passed)
    beneath = _beneath(curve, late[passed], labels[~passed], weights[~passed])
    model = cascade.CascadeEncoder(
        fit(first, rows, scratch / "final"), fit(kind, rows, run.output.scratch / "final"), cut
    )
    return Learnt(
        model,
        cascade.CascadeCalibration(curve, beneath),
        cascade.joined(early, late, cut),
        _placed(scores, passed, beneath),
        {**cascade.cost(early, labels, weights, cut), "alone": late},
    )


def _calibrated(
    config: Mapping[str, Any], margins: Array, rows: pl.DataFrame, chosen: NDArray[np.bool_]
) -> tuple[Calibrated, Array]:
    """The curve of the chosen documents, and their scores."""
    labels, weights = floats(rows, "label")[chosen], floats(rows, "weight")[chosen]
    curve = fit_calibration(config["calibration"], margins[chosen], labels, weights)
    return curve, of_labelled(curve, margins[chosen], labels, weights)


def _placed(scores: Array, passed: NDArray[np.bool_], beneath: float) -> Array:
    """Scores of all documents from those of the passed ones."""
    found = np.full(len(passed), beneath)
    found[passed] = scores
    return found


def _beneath(curve: Calibrated, passed: Array, labels: Array, weights: Array) -> float:
    """The share of positives among what is not passed on, and no more than the least of what is."""
    share = float(np.average(labels, weights=weights)) if len(labels) else 0.0
    return min(share, float(curve.probability(passed).min()))


def _kept(path: Path, compute: Any) -> Array:
    """What `compute` gives, kept in scratch for a build that is killed later."""
    if not path.exists():
        computed = compute()
        with on_disk(path) as file:
            np.save(file, computed)
    return np.asarray(np.load(path))
