"""A trained encoder as it is stored and used: a model, the curve from its margins to scores, what it reads.

A score lies between 0 and 1: the expected score that the annotator would give, as a share of the highest, or the
probability of reaching a cut where the prompt has a cut learnt.

A cascade is two models in a row. fastText reads every document and passes on those with a margin of at least `cut`;
the second model scores them. A document below the cut keeps its order among its like, beneath every document that was
passed on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from datashop_assets.encoder_kinds.kinds import FastTextKind, kind_of
from datashop_assets.excerpts import Part, part_read
from datashop_assets.prompts.encoder_settings import CascadeEncoderConfig, EncoderConfig, FastTextConfig
from datashop_assets.protocols.encoder import EmbeddingEncoder, Encoder
from datashop_assets.statistics.intervals import Array
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.storage.stage_writer import StageWriter

DESCRIPTION = "encoder.json"
BENEATH = -1e6  # what a first margin is moved by when its document is not passed on: margins stay within 1e4


class PlattCurve(BaseModel):
    """score = 1 / (1 + exp(-(slope * margin + intercept))) (Platt, 1999)."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["platt"] = "platt"
    slope: float
    intercept: float

    def probability(self, margins: Array) -> Array:
        """Margins [documents] -> scores [documents], never lower for a higher margin."""
        return np.asarray(1.0 / (1.0 + np.exp(-(self.slope * margins + self.intercept))))


class IsotonicCurve(BaseModel):
    """Straight lines between knots, flat beyond them (Zadrozny and Elkan, 2002)."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["isotonic"] = "isotonic"
    margins: tuple[float, ...]
    probabilities: tuple[float, ...]

    def probability(self, margins: Array) -> Array:
        return np.asarray(np.interp(margins, self.margins, self.probabilities))


Curve = Annotated[PlattCurve | IsotonicCurve, Field(discriminator="kind")]


@dataclass(frozen=True)
class CascadeEncoder:
    """Scores by `second` what `first` puts at `cut` or above."""

    first: Encoder
    second: Encoder
    cut: float

    @property
    def paths(self) -> Sequence[Path]:
        return (*self.first.paths, *self.second.paths)

    def margin(self, texts: Sequence[str]) -> Array:
        first = self.first.margin(texts)
        second = np.zeros(len(texts))
        passed = np.flatnonzero(first >= self.cut).tolist()
        if passed:
            second[passed] = self.second.margin([texts[place] for place in passed])
        return cascade_margins(first, second, self.cut)


@dataclass(frozen=True, slots=True)
class CascadeCalibration:
    """The second encoder's curve for what was passed on; what was not has one score, the mean target found there, and
    what was passed on no lower one.
    """

    passed: Curve
    beneath: float

    def probability(self, margins: Array) -> Array:
        passed = was_passed(margins)
        above = np.maximum(self.passed.probability(np.where(passed, margins, 0.0)), self.beneath)
        return np.where(passed, above, self.beneath)


def cascade_margins(first: Array, second: Array, cut: float) -> Array:
    """Margins of a cascade from those of its two encoders, all float64 [documents]."""
    return np.where(first >= cut, second, BENEATH + first)


def was_passed(margins: Array) -> NDArray[np.bool_]:
    """Whether the second encoder read a document, from the cascade's margin. True of an encoder that is no cascade."""
    return margins > BENEATH / 2


class StoredCascade(BaseModel):
    """`first` are the names of the first encoder's files, `beneath` the score of what it does not pass on."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    first: tuple[str, ...]
    cut: float
    beneath: float


class StoredEncoder(BaseModel):
    """`encoder.json`: all that loading needs beside the model's files."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    config: EncoderConfig
    read_characters: int | None
    reading: Part
    files: tuple[str, ...]
    calibration: Curve
    cascade: StoredCascade | None = None
    each_word_once: bool = True  # false for a model of stock fastText, which reads a text as it stands


@dataclass(frozen=True)
class TrainedEncoder:
    """Scores texts by reading the same part of them as in training, all of it where `read_characters` is None."""

    model: Encoder
    calibration: Curve | CascadeCalibration
    read_characters: int | None
    reading: Part = "head"

    @property
    def scores_embeddings(self) -> bool:
        """Whether the vectors of `pool_embeddings`, where there are any, hold all that scoring needs."""
        return isinstance(self.model, EmbeddingEncoder)

    def margins(self, texts: Sequence[str]) -> Array:
        """float64 [documents]"""
        return self.model.margin([self.read(text) for text in texts])

    def read(self, text: str) -> str:
        """What the model is given of a text."""
        return part_read(text, self.read_characters, self.reading)

    def margins_of(self, vectors: NDArray[np.float16]) -> Array:
        """What `margins` gives of the texts whose vectors these are. Raises `TypeError` where the kind has none."""
        if not isinstance(self.model, EmbeddingEncoder):
            raise TypeError(f"{type(self.model).__name__} reads texts, not embeddings; call margins")
        return self.model.margin_of(vectors)

    def save(self, output: StageWriter, config: EncoderConfig) -> None:
        """Writes the model's files and `encoder.json`."""
        for path in self.model.paths:
            output.put_file(path.name, path)
        cascade, curve = None, self.calibration
        if isinstance(curve, CascadeCalibration):
            assert isinstance(self.model, CascadeEncoder)
            first = tuple(path.name for path in self.model.first.paths)
            cascade, curve = StoredCascade(first=first, cut=self.model.cut, beneath=curve.beneath), curve.passed
        stored = StoredEncoder(
            config=config,
            read_characters=self.read_characters,
            reading=self.reading,
            files=tuple(path.name for path in self.model.paths),
            calibration=curve,
            cascade=cascade,
        )
        output.put_bytes(DESCRIPTION, stored.model_dump_json(indent=1).encode())


def load(folder: StageFolder) -> TrainedEncoder:
    """The encoder that a finished output of the step `encoder` holds.

    Raises `ValueError` where it was stored by a version of the code that described encoders otherwise.
    """
    try:
        stored = StoredEncoder.model_validate_json(folder.file(DESCRIPTION).read_bytes())
    except ValidationError as error:
        raise ValueError(
            f"{folder.uri}/{DESCRIPTION} is not in the form of this version ({error.error_count()} errors, the first: "
            f"{error.errors()[0]['msg']}); materialize encoder again, and name the new output"
        ) from error
    config, paths = stored.config, {name: folder.file(name) for name in stored.files}
    model: Encoder
    calibration: Curve | CascadeCalibration = stored.calibration
    if stored.cascade is not None and isinstance(config, CascadeEncoderConfig):
        first = FastTextKind(config).load([paths.pop(name) for name in stored.cascade.first])
        model = CascadeEncoder(first, kind_of(config).load(list(paths.values())), stored.cascade.cut)
        calibration = CascadeCalibration(stored.calibration, stored.cascade.beneath)
    elif isinstance(config, FastTextConfig):
        model = FastTextKind(config, stored.each_word_once).load(list(paths.values()))
    else:
        model = kind_of(config).load(list(paths.values()))
    return TrainedEncoder(model, calibration, stored.read_characters, stored.reading)
