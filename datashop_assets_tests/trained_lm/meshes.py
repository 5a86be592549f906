"""Trains one small model over several meshes of eight simulated devices and prints the loss curves as JSON.

XLA_FLAGS=--xla_force_host_platform_device_count=8 python -m datashop_assets_tests.trained_lm.meshes FOLDER MESH...
`STEPS` in the environment: how many, by default 20. MESH is such as `fsdp=8`, or `fsdp=8:tensor=2` for a run that goes
on from the other mesh's checkpoint in mid-run.
"""

import json
import os
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from datashop_assets.protocols.trainer import Checkpointing
from datashop_assets.trained_lm.mixture import Rows
from datashop_assets.trained_lm.training import train_seeds
from datashop_assets.training_documents.settings import TrainingSettings

STEPS = int(os.environ.get("STEPS", "20"))
SETTINGS = TrainingSettings(
    depth=2, length=32, batch=8, steps=STEPS, seeds=1, learning_rate=0.01, warmup_fraction=0.1, filtered_share=0.5
)
VOCABULARY = 128


class PowerFailureError(Exception):
    """What stops a run in its middle."""


def rows() -> Rows:
    """Documents of some 20 tokens, each a run of neighbouring numbers, so that there is something to learn."""
    random = np.random.default_rng(0)
    count = SETTINGS.rows
    starts = random.integers(1, 100, (count, 33))
    tokens = np.where(np.arange(33) % 20 == 0, 0, (starts[:, :1] + np.arange(33)) % (VOCABULARY - 1) + 1)
    names = np.zeros(count, dtype=np.int64)
    return Rows(tokens.astype(np.int32), 0, ["d"], names, names)


def curve(mesh: str, folder: Path, stop_after: int = 10**9) -> list[float]:
    done = [0.0]

    def advance(steps: float) -> None:
        done[0] += steps
        if done[0] > stop_after:
            raise PowerFailureError

    [trained] = train_seeds(
        [rows],
        replace(SETTINGS.llama(VOCABULARY), tie_word_embeddings=False),
        SETTINGS,
        folder,
        advance=advance,
        mesh=mesh,
        checkpointing=Checkpointing(seconds=0.0),
    )
    losses: list[float] = trained.history[:, 0].tolist()
    return losses


def main(folder: Path, meshes: list[str]) -> None:
    found = {}
    for number, mesh in enumerate(meshes):
        first, _, second = mesh.partition(":")
        place = folder / str(number)
        if second:
            with suppress(PowerFailureError):
                curve(first, place, stop_after=10)
        found[mesh] = curve(second or first, place)
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
