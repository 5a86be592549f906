"""Training of weights on labelled documents: AdamW, epochs in a seeded order, the best weights by validation.

Batches lie over all devices, weights are on each. A step depends on its number alone, so a run that was killed goes on
from its last checkpoint and ends with the same bits.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from datashop_assets.models.sharding import MeshShape, ShardingRules
from datashop_assets.storage.writing import replacing

Tree = Any  # nested dictionaries of arrays
Documents = Mapping[str, NDArray[Any]]  # arrays [documents, ...], one of them `weight`
Loss = Callable[[Tree, Any], jax.Array]  # weights, a batch of documents -> the loss of each
CHECKPOINT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class TuningSettings:
    epochs: int
    learning_rate: float
    batch: int
    schedule: Literal["constant", "cosine"]
    warmup_fraction: float = 0.0
    weight_decay: float = 0.01

    def rates(self, steps: int) -> optax.Schedule:
        """Learning rate by step: constant, or a linear warm-up and a cosine down to 0."""
        if self.schedule == "constant":
            return optax.constant_schedule(self.learning_rate)
        warmup = round(steps * self.warmup_fraction)
        return optax.warmup_cosine_decay_schedule(0.0, self.learning_rate, warmup, max(steps, warmup + 1))


@dataclass
class TuningState:
    """The state of a run: what a checkpoint saves and what `tune` returns."""

    weights: Tree
    moments: Tree
    best: Tree
    best_loss: float = float("inf")
    best_epoch: int = -1
    step: int = 0


def tune(
    loss: Loss,
    weights: Tree,
    documents: Documents,
    validation: Documents,
    settings: TuningSettings,
    *,
    seed: int,
    checkpoint: Path,
    every: float = CHECKPOINT_SECONDS,
) -> TuningState:
    """Trains `weights`; returns the final state, with `best` of the epoch with the lowest validation loss.

    Raises `FloatingPointError` where the validation loss is no number.
    """
    run = _run(loss, settings, -(-len(documents["weight"]) // _batch(settings, jax.device_count())))
    state = run.start(weights)
    if checkpoint.exists():
        state = load(checkpoint, state)
    saved = time.monotonic()
    while state.step < run.steps:
        state.weights, state.moments = run.step(state.weights, state.moments, run.batch(documents, state.step, seed))
        state.step += 1
        if state.step % run.per_epoch == 0:
            _validate(run, state, validation)
        if time.monotonic() - saved >= every:
            save(checkpoint, state)
            saved = time.monotonic()
    return state


def _batch(settings: TuningSettings, devices: int) -> int:
    """Documents a step: as many on every device."""
    return -(-settings.batch // devices) * devices


class Run:
    """The compiled functions of a run over `devices`, and which documents each step reads."""

    def __init__(self, loss: Loss, settings: TuningSettings, per_epoch: int, devices: Sequence[Any]) -> None:
        self.rules = ShardingRules(MeshShape(data=len(devices)).over(devices))
        self.size, self.per_epoch = _batch(settings, len(devices)), per_epoch
        self.steps = self.per_epoch * settings.epochs
        rates, decay = settings.rates(self.steps), settings.weight_decay
        self.optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(rates, weight_decay=decay))
        self._loss = loss
        self.step, self.measure = jax.jit(self._step), jax.jit(self._measure)

    def start(self, weights: Tree) -> TuningState:
        placed = jax.device_put(weights, self.rules.sharding())
        return TuningState(placed, jax.device_put(self.optimizer.init(placed), self.rules.sharding()), placed)

    def batch(self, documents: Documents, step: int, seed: int) -> Any:
        """The documents of a step, filled up with the first one at weight 0."""
        epoch, place = divmod(step, self.per_epoch)
        order = np.random.default_rng([seed, epoch]).permutation(len(documents["weight"]))
        return self.placed(documents, order[place * self.size : (place + 1) * self.size])

    def placed(self, documents: Documents, chosen: NDArray[np.int64]) -> Any:
        filled = np.concatenate([chosen, np.zeros(self.size - len(chosen), dtype=chosen.dtype)])
        batch = {name: values[filled] for name, values in documents.items()}
        batch["weight"] = np.where(np.arange(self.size) < len(chosen), batch["weight"], 0).astype(np.float32)
        return jax.device_put(batch, self.rules.sharding("batch"))

    def _step(self, weights: Tree, moments: Tree, batch: Any) -> tuple[Tree, Tree]:
        gradients = jax.grad(lambda tree: (self._loss(tree, batch) * batch["weight"]).mean())(weights)
        updates, moments = self.optimizer.update(gradients, moments, weights)
        return optax.apply_updates(weights, updates), moments

    def _measure(self, weights: Tree, batch: Any) -> jax.Array:
        return jnp.stack([(self._loss(weights, batch) * batch["weight"]).sum(), batch["weight"].sum()])


@lru_cache(maxsize=2)
def _run(loss: Loss, settings: TuningSettings, per_epoch: int) -> Run:
    """Folds are of nearly one size: what is compiled for one serves the others."""
    return Run(loss, settings, per_epoch, jax.devices())


def _validate(run: Run, state: TuningState, validation: Documents) -> None:
    places = np.arange(len(validation["weight"]))
    parts = [places[start : start + run.size] for start in range(0, len(places), run.size)]
    total, weight = np.sum([run.measure(state.weights, run.placed(validation, part)) for part in parts], axis=0)
    loss = float(total / weight)
    epoch = state.step // run.per_epoch - 1
    if not np.isfinite(loss):
        raise FloatingPointError(
            f"the validation loss is {loss} after epoch {epoch}; lower encoder.transformer.learning_rate"
        )
    if loss < state.best_loss:
        state.best, state.best_loss, state.best_epoch = state.weights, loss, epoch


def save(path: Path, state: TuningState) -> None:
    """Writes a checkpoint. A reader sees it whole or not at all."""
    leaves = jax.tree.leaves((state.weights, state.moments, state.best))
    tensors = {f"{number:05d}": np.array(leaf, order="C") for number, leaf in enumerate(leaves)}
    progress = {"step": state.step, "best_loss": state.best_loss, "best_epoch": state.best_epoch}
    with replacing(path) as ready:
        save_file(tensors, ready, metadata={"progress": json.dumps(progress)})


def load(path: Path, like: TuningState) -> TuningState:
    """The state that `save` wrote, placed on devices as `like` is."""
    leaves, shape = jax.tree.flatten((like.weights, like.moments, like.best))
    with safe_open(path, framework="numpy") as opened:
        progress = json.loads(opened.metadata()["progress"])
        values = [opened.get_tensor(f"{number:05d}") for number in range(len(leaves))]
    placed = [jax.device_put(value, leaf.sharding) for value, leaf in zip(values, leaves, strict=True)]
    weights, moments, best = jax.tree.unflatten(shape, placed)
    return TuningState(weights, moments, best, **progress)
