"""A trained encoder as it is stored and used: model files, calibration, and how much of a text it reads."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datashop_assets.encoder.calibration import Calibrated, from_json, to_json
from datashop_assets.encoder.cascade import CascadeCalibration, CascadeEncoder
from datashop_assets.encoder.kinds import FastTextKind, kind_of
from datashop_assets.excerpts import Part, excerpt
from datashop_assets.protocols.encoder import EmbeddingEncoder, Encoder
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.storage.stage_writer import StageWriter

DESCRIPTION = "encoder.json"


@dataclass(frozen=True)
class TrainedEncoder:
    """Scores texts by reading the same part of them as the annotator did."""

    model: Encoder
    calibration: Calibrated
    read_characters: int
    reading: Part = "head"

    @property
    def scores_embeddings(self) -> bool:
        """Whether `pool_embeddings` holds all that scoring needs, so that no text is read."""
        return isinstance(self.model, EmbeddingEncoder)

    def margins(self, texts: Sequence[str]) -> NDArray[np.float64]:
        return self.model.margin([self.read(text) for text in texts])

    def read(self, text: str) -> str:
        """What the model is given of a text."""
        return excerpt(text, self.read_characters, self.reading)[0]

    def margins_of(self, vectors: NDArray[np.float16]) -> NDArray[np.float64]:
        """What `margins` gives of the texts whose vectors these are. Raises `TypeError` where the kind has none."""
        if not isinstance(self.model, EmbeddingEncoder):
            raise TypeError(f"{type(self.model).__name__} reads texts, not embeddings; call margins")
        return self.model.margin_of(vectors)

    def save(self, output: StageWriter, config: Mapping[str, Any]) -> None:
        """Writes the model's files and `encoder.json`, which holds all that `load` needs beside them."""
        for path in self.model.paths:
            output.put_file(path.name, path)
        description = {
            "config": {key: config[key] for key in config if not key.startswith("gold")},
            "files": [path.name for path in self.model.paths],
            **_described(self.model, self.calibration),
        }
        output.put_bytes(DESCRIPTION, json.dumps(description, indent=1, sort_keys=True).encode())


def load(folder: StageFolder) -> TrainedEncoder:
    """The encoder that a finished encoder stage holds."""
    said = json.loads(folder.file(DESCRIPTION).read_text())
    config, curve = said["config"], from_json(said["calibration"])
    paths = {name: folder.file(name) for name in said["files"]}
    if "cascade" not in said:
        return TrainedEncoder(kind_of(config).load(list(paths.values())), curve, **_read(config))
    early = [paths.pop(name) for name in said["cascade"]["first"]]
    second = kind_of(config).load(list(paths.values()))
    model = CascadeEncoder(FastTextKind(config).load(early), second, said["cascade"]["cut"])
    return TrainedEncoder(model, CascadeCalibration(curve, said["cascade"]["beneath"]), **_read(config))


def _read(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: config[name] for name in ("read_characters", "reading")}


def _described(model: Encoder, calibration: Calibrated) -> dict[str, Any]:
    if not (isinstance(model, CascadeEncoder) and isinstance(calibration, CascadeCalibration)):
        return {"calibration": to_json(calibration)}
    first = [path.name for path in model.first.paths]
    cascade = {"first": first, "cut": model.cut, "beneath": calibration.beneath}
    return {"calibration": to_json(calibration.passed), "cascade": cascade}
