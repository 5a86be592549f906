"""From labels to an encoder: predictions out of fold, calibration on them, and one model on all labels."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from datashop_assets.encoder import cascade
from datashop_assets.encoder.agreement import Array
from datashop_assets.encoder.calibration import Calibrated, fit_calibration
from datashop_assets.encoder.folds import fit, floats, out_of_fold
from datashop_assets.encoder.kinds import FastTextKind, kind_of
from datashop_assets.protocols.encoder import Encoder, EncoderKind
from datashop_assets.stage import StageTask


@dataclass(frozen=True)
class Learnt:
    """A model on all labels, its calibration, and what models that had not seen them say of the labels."""

    model: Encoder
    calibration: Calibrated
    margins: Array  # [documents], out of fold
    cascade: Mapping[str, Any] | None = None  # what passing on costs, with the second encoder's margins `alone`

    @property
    def scores(self) -> Array:
        return self.calibration.probability(self.margins)


def learn(task: StageTask, rows: pl.DataFrame) -> Learnt:
    """Trains what the configuration asks for on the rows of a training set."""
    kind, scratch = kind_of(task.config, task.cache), task.output.scratch
    kind.prepare(rows["text"].to_list(), scratch)
    margins = _kept(scratch / "margins.npy", lambda: out_of_fold(kind, rows, scratch))
    if "cascade" in task.config:
        return _learn_cascade(task, rows, kind, margins)
    calibration = _calibrated(task.config, margins, rows, np.ones(len(rows), dtype=bool))
    return Learnt(fit(kind, rows, scratch / "final"), calibration, margins)


def _learn_cascade(task: StageTask, rows: pl.DataFrame, kind: EncoderKind, late: Array) -> Learnt:
    first, scratch = FastTextKind(task.config), task.output.scratch / "first"
    early = _kept(scratch / "margins.npy", lambda: out_of_fold(first, rows, scratch))
    labels, weights = floats(rows, "label"), floats(rows, "weight")
    cut = cascade.cut_of(early, weights, task.config["cascade"]["passes"])
    passed = early >= cut
    curve = _calibrated(task.config, late, rows, passed)
    model = cascade.CascadeEncoder(
        fit(first, rows, scratch / "final"), fit(kind, rows, task.output.scratch / "final"), cut
    )
    return Learnt(
        model,
        cascade.CascadeCalibration(curve, _beneath(curve, late[passed], labels[~passed], weights[~passed])),
        cascade.joined(early, late, cut),
        {**cascade.cost(early, labels, weights, cut), "alone": late},
    )


def _calibrated(config: Mapping[str, Any], margins: Array, rows: pl.DataFrame, chosen: Any) -> Calibrated:
    labels, weights = floats(rows, "label")[chosen], floats(rows, "weight")[chosen]
    return fit_calibration(config["calibration"], margins[chosen], labels, weights)


def _beneath(curve: Calibrated, passed: Array, labels: Array, weights: Array) -> float:
    """The share of positives among what is not passed on, and no more than the least of what is."""
    share = float(np.average(labels, weights=weights)) if len(labels) else 0.0
    return min(share, float(curve.probability(passed).min()))


def _kept(path: Path, compute: Any) -> Array:
    """What `compute` gives, kept in scratch for a build that is killed later."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part.npy")
        np.save(part, compute())
        part.replace(path)
    return np.asarray(np.load(path))
