"""The training loop: every seed's steps in order, with checkpoints that resume to the bit.

On a CPU every seed has one thread and as many run at once as there are cores; on an accelerator or a mesh one runs
after the other. A look at the loss waits for the device, so it is taken every tenth step.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import jax
import numpy as np

from datashop_assets.models.llama.model import LlamaConfig
from datashop_assets.models.sharding import MeshShape, workers
from datashop_assets.protocols.trainer import IN_SCRATCH, Checkpointing
from datashop_assets.trained_lm.checkpoints import Checkpoints, History
from datashop_assets.trained_lm.journal import Journal
from datashop_assets.trained_lm.mixture import Rows
from datashop_assets.trained_lm.program import Batch, Program, State, compiled
from datashop_assets.trained_lm.rates import device_rate
from datashop_assets.trained_lm.settings import TrainingSettings

CHECK_EVERY = 10  # steps
NAMED = 40  # documents named in an error


@dataclass(frozen=True)
class Trained:
    """One seed's model and how its training went."""

    seed: int
    weights: Any  # the nnx state of `Llama`, on the host
    history: History
    steps: int  # taken by this process: fewer than the history where a killed run was resumed
    seconds: float  # that they took
    rate: float  # operations a second of matrix products on the devices that it was trained on, all together


def train_seeds(
    rows: Sequence[Callable[[], Rows]],
    config: LlamaConfig,
    settings: TrainingSettings,
    scratch: Path,
    *,
    advance: Callable[[float], None],
    weights: Callable[[], Any] | None = None,
    mesh: str = "",
    checkpointing: Checkpointing = IN_SCRATCH,
) -> list[Trained]:
    """Trains a model for every seed 0, 1, ... on its rows; `advance` is told of steps done.

    `weights` gives those to begin with, as the nnx state of `Llama`; without it they are drawn by seed. Raises
    `FloatingPointError` naming seed, step, documents and the last checkpoint where the loss is no number.
    """
    shape = MeshShape.parse(mesh)
    program = compiled(config, settings, shape)
    rate = device_rate(settings.precision) * shape.devices
    lock = Lock()

    def told(steps: float) -> None:
        with lock:
            advance(steps)

    def one(seed: int) -> Trained:
        def start() -> State:
            return program.start(seed) if weights is None else program.begin(weights())

        read = rows[seed]()
        folder = scratch / f"seed-{seed}-{read.digest}"  # no run that reads something else goes on from it
        with Checkpoints(folder, checkpointing) as checkpoints:
            return _Run(seed, program, settings, rate, checkpoints, told).train(start, read)

    with ThreadPoolExecutor(workers() if shape.devices == 1 else 1) as pool:
        return list(pool.map(one, range(len(rows))))


@dataclass(frozen=True)
class _Run:
    """One seed's training."""

    seed: int
    program: Program
    settings: TrainingSettings
    rate: float
    checkpoints: Checkpoints
    told: Callable[[float], None]

    def train(self, start: Callable[[], State], rows: Rows) -> Trained:
        begun = time.monotonic()
        state, history = self.checkpoints.restore(start())
        resumed = len(history)
        self.told(resumed)
        journal, pending = Journal(self.seed, self.settings, resumed), list[jax.Array]()
        since = time.monotonic()
        for step, batch in _batches(rows, self.settings.batch, resumed):
            state, nats = self.program.step(state, self.program.place(batch))
            pending.append(nats)
            if len(pending) == CHECK_EVERY or step == self.settings.steps - 1:
                history = np.concatenate([history, self._looked_at(pending, rows, len(history), since)])
                self.told(len(pending))
                journal.look(history)
                pending = []
                self.checkpoints.save(state, history, last=step == self.settings.steps - 1)
                since = time.monotonic()
        weights = _on_the_host(state[0])
        return Trained(self.seed, weights, history, len(history) - resumed, time.monotonic() - begun, self.rate)

    def _looked_at(self, pending: list[jax.Array], rows: Rows, before: int, since: float) -> History:
        """Waits for the losses and gives them with the seconds that a step took."""
        losses = np.asarray(jax.device_get(pending), dtype=np.float32)
        if (bad := np.flatnonzero(~np.isfinite(losses))).size:
            self._stop(rows, before + int(bad[0]), float(losses[bad[0]]))
        seconds = np.full(len(losses), (time.monotonic() - since) / len(losses), dtype=np.float32)
        return np.stack([losses, seconds], axis=1)

    def _stop(self, rows: Rows, step: int, loss: float) -> None:
        batch = range(step * self.settings.batch, (step + 1) * self.settings.batch)
        ids = list(dict.fromkeys(each for row in batch for each in rows.ids_of(row)))
        more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
        raise FloatingPointError(
            f"the loss of seed {self.seed} is {loss} at step {step}; lower training.learning_rate or raise "
            f"training.warmup_fraction. That step's batch holds {', '.join(ids[:NAMED])}{more}; {self.checkpoints.last}"
        )


def _on_the_host(weights: Any) -> Any:
    """All of the weights, also where other processes hold parts of them."""
    if jax.process_count() == 1:
        return jax.device_get(weights)
    from jax.experimental import multihost_utils

    return multihost_utils.process_allgather(weights, tiled=True)


def _batches(rows: Rows, batch: int, first: int) -> Iterator[tuple[int, Batch]]:
    for step in range(first, len(rows.tokens) // batch):
        yield step, rows.laid_out(slice(step * batch, (step + 1) * batch))
