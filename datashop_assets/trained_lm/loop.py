"""The training loop: every seed's steps in order, with checkpoints that resume to the bit.

On a CPU every seed has one thread and as many run at once as there are cores; on an accelerator one runs after the
other. A look at the loss waits for the device, so it is taken every tenth step.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import jax
import numpy as np

from datashop_assets.models.llama import LlamaConfig
from datashop_assets.trained_lm.checkpoints import Checkpoints
from datashop_assets.trained_lm.mixture import Rows
from datashop_assets.trained_lm.program import Program, compiled, workers
from datashop_assets.trained_lm.settings import TrainingSettings

CHECK_EVERY = 10  # steps
CHECKPOINT_SECONDS = 10.0


@dataclass(frozen=True)
class Trained:
    """One seed's model and how its training went."""

    seed: int
    weights: Any  # the nnx state of `Llama`
    losses: np.ndarray  # [steps] float32, nats a token
    steps: int  # taken by this process: fewer than the losses where a killed run was resumed
    seconds: float  # that they took


def train_seeds(
    rows: Sequence[Callable[[], Rows]],
    config: LlamaConfig,
    settings: TrainingSettings,
    scratch: Path,
    *,
    advance: Callable[[float], None],
) -> list[Trained]:
    """Trains a model for every seed 0, 1, ... on its rows; `advance` is told of steps done.

    Raises `FloatingPointError` naming seed and step where the loss is no number.
    """
    program = compiled(config, settings)
    lock = Lock()

    def told(steps: float) -> None:
        with lock:
            advance(steps)

    def one(seed: int) -> Trained:
        with Checkpoints(scratch / f"seed-{seed}", CHECKPOINT_SECONDS) as checkpoints:
            return _Run(seed, program, settings, checkpoints, told).train(rows[seed]())

    with ThreadPoolExecutor(workers()) as pool:
        return list(pool.map(one, range(len(rows))))


@dataclass(frozen=True)
class _Run:
    """One seed's training."""

    seed: int
    program: Program
    settings: TrainingSettings
    checkpoints: Checkpoints
    told: Callable[[float], None]

    def train(self, rows: Rows) -> Trained:
        begun = time.monotonic()
        state, losses = self.checkpoints.restore(self.program.start(self.seed))
        resumed = len(losses)
        self.told(resumed)
        pending: list[jax.Array] = []
        for step, batch in _batches(rows, self.settings.batch, resumed):
            state, nats = self.program.step(state, batch)
            pending.append(nats)
            if len(pending) == CHECK_EVERY or step == self.settings.steps - 1:
                losses = np.concatenate([losses, _checked(pending, self.seed, len(losses))])
                self.told(len(pending))
                pending = []
                self.checkpoints.save(state, losses, last=step == self.settings.steps - 1)
        return Trained(self.seed, state[0], losses, len(losses) - resumed, time.monotonic() - begun)


def _batches(rows: Rows, batch: int, first: int) -> Iterator[tuple[int, tuple[np.ndarray, np.ndarray, np.ndarray]]]:
    for step in range(first, len(rows.tokens) // batch):
        these = slice(step * batch, (step + 1) * batch)
        yield step, (rows.tokens[these], rows.segments[these], rows.positions[these])


def _checked(pending: list[jax.Array], seed: int, before: int) -> np.ndarray:
    losses = np.asarray(jax.device_get(pending), dtype=np.float32)
    for step, loss in enumerate(losses.tolist(), start=before):
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the loss of seed {seed} is {loss} at step {step}; lower training.learning_rate "
                "or raise training.warmup_fraction"
            )
    return losses
