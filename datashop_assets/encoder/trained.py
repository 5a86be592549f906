"""A trained encoder as it is stored and used: model files, calibration, and how much of a text it reads."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datashop_assets.encoder.calibration import Calibration
from datashop_assets.encoder.kinds import kind_of
from datashop_assets.excerpts import excerpt
from datashop_assets.protocols.encoder import Encoder
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.storage.stage_writer import StageWriter

DESCRIPTION = "encoder.json"


@dataclass(frozen=True)
class TrainedEncoder:
    """Scores texts by reading the same part of them as the annotator did."""

    model: Encoder
    calibration: Calibration
    read_characters: int

    def margins(self, texts: Sequence[str]) -> NDArray[np.float64]:
        return self.model.margin([excerpt(text, self.read_characters)[0] for text in texts])

    def save(self, output: StageWriter, config: Mapping[str, Any]) -> None:
        """Writes the model's files and `encoder.json`, which holds all that `load` needs beside them."""
        for path in self.model.paths:
            output.put_file(path.name, path)
        description = {
            "config": {key: config[key] for key in config if not key.startswith("gold")},
            "files": [path.name for path in self.model.paths],
            "calibration": asdict(self.calibration),
        }
        output.put_bytes(DESCRIPTION, json.dumps(description, indent=1, sort_keys=True).encode())


def load(folder: StageFolder) -> TrainedEncoder:
    """The encoder that a finished encoder stage holds."""
    description = json.loads(folder.file(DESCRIPTION).read_text())
    model = kind_of(description["config"]).load([folder.file(name) for name in description["files"]])
    return TrainedEncoder(model, Calibration(**description["calibration"]), description["config"]["read_characters"])
