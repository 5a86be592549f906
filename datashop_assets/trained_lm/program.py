"""The training step: AdamW on float32 weights, clipped gradients, the loss in parts, one device or a mesh of them.

On a CPU with one device a step is compiled for one thread: matrices this small gain nothing from being split (two seeds
side by side take half the time of one after the other), and what one thread computes does not depend on how many cores
there are. Compiled once a process for control and candidate, in some 10 s of one core.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from datashop_assets.models.attention import Computing, kernel_of
from datashop_assets.models.llama.model import Llama, LlamaConfig, axes_of, parts_of, token_losses
from datashop_assets.models.sharding import ONE_DEVICE, MeshShape, ShardingRules, compiler_options
from datashop_assets.trained_lm.settings import TrainingSettings

DECAYS_TO = 0.1  # of the highest learning rate, at the last step; an anneal goes to zero
WEIGHT_DECAY = 0.1

State = tuple[Any, Any]  # weights and optimizer state
Batch = tuple[Any, Any, Any]  # tokens [B, T + 1], segments [B, T], positions [B, T], int32


def schedule(settings: TrainingSettings) -> optax.Schedule:
    """Learning rate by step: linear warm-up, then a cosine down to a tenth, or a line down to zero for an anneal.

    The last step is never of the warm-up.
    """
    warmup = min(round(settings.steps * settings.warmup_fraction), settings.steps - 1)
    peak = settings.learning_rate
    if not settings.anneal:
        return optax.warmup_cosine_decay_schedule(0.0, peak, warmup, settings.steps, peak * DECAYS_TO)
    falls = optax.linear_schedule(peak, 0.0, settings.steps - warmup)
    return optax.join_schedules([optax.linear_schedule(0.0, peak, warmup), falls], [warmup]) if warmup else falls


@dataclass(frozen=True)
class Training:
    """The two functions of a run, to be compiled for one device or, with rules, for a mesh."""

    config: LlamaConfig
    settings: TrainingSettings
    platform: str
    rules: ShardingRules | None = None

    @property
    def computing(self) -> Computing:
        head, length = self.config.head_dim, self.settings.length
        kernel = kernel_of(self.platform, head, length, self.settings.precision)
        return Computing(kernel, self.settings.recompute, self.rules)

    @property
    def optimizer(self) -> optax.GradientTransformation:
        adamw = optax.adamw(schedule(self.settings), b2=0.95, weight_decay=WEIGHT_DECAY)
        return optax.chain(optax.clip_by_global_norm(1.0), adamw)

    def weights(self, seed: jax.Array) -> Any:
        return nnx.state(self._model(nnx.Rngs(jax.random.key(seed))), nnx.Param)

    def begin(self, weights: Any) -> State:
        return weights, self.optimizer.init(weights)

    def step(self, state: State, batch: Batch) -> tuple[State, jax.Array]:
        """One update. Returns the new state and the batch's mean loss in nats a token.

        A loss whose gradient is no number is none either: the weights that follow from it are lost.
        """
        weights, moments = state
        nats, gradients = jax.value_and_grad(self.loss())(weights, batch)
        nats = jnp.where(jnp.isfinite(optax.tree.norm(gradients)), nats, jnp.nan)  # of what is clipped by it anyway
        updates, moments = self.optimizer.update(gradients, moments, weights)
        return (optax.apply_updates(weights, updates), moments), nats

    def shapes(self) -> tuple[State, Batch]:
        """State and batch as shapes, with where they lie on the mesh. Raises `ValueError` where they cannot be cut."""
        state = jax.eval_shape(lambda seed: self.begin(self.weights(seed)), np.uint32(0))
        rows, length = self.settings.batch, self.settings.length
        batch = [np.broadcast_to(np.int32(0), (rows, size)) for size in (length + 1, length, length)]
        placed = jax.tree.map_with_path(lambda place, leaf: self._placed(leaf, axes_of(place, leaf.ndim)), state)
        first, second, third = (self._placed(each, ("batch", None)) for each in batch)
        return placed, (first, second, third)

    def _placed(self, leaf: Any, axes: tuple[str | None, ...]) -> Any:
        sharding = None
        if self.rules is not None:
            self.rules.check(leaf.shape, *axes)
            sharding = self.rules.sharding(*axes)
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)  # type: ignore[no-untyped-call]

    def _model(self, rngs: nnx.Rngs) -> Llama:
        return Llama(self.config, dtype=self.settings.precision, rngs=rngs)

    def loss(self) -> Callable[[Any, Batch], jax.Array]:
        graph = nnx.graphdef(nnx.eval_shape(lambda: self._model(nnx.Rngs(0))))
        devices = 1 if self.rules is None else self.rules.mesh.size
        parts = parts_of(self.settings.batch, self.settings.length, self.config.vocab_size, devices)

        def loss(weights: Any, batch: Batch) -> jax.Array:
            tokens, segments, positions = batch
            model = nnx.merge(graph, weights)
            hidden = model.hidden(tokens[:, :-1], positions=positions, segments=segments, computing=self.computing)
            return token_losses(model.logits, hidden, tokens[:, 1:], parts=parts).mean()

        return loss


@dataclass(frozen=True)
class Program:
    """Compiled: a state from a seed, or from weights that are given, a batch where it belongs, and a step."""

    start: Callable[[int], State]
    begin: Callable[[Any], State]
    place: Callable[[Batch], Batch]
    step: Callable[[State, Batch], tuple[State, jax.Array]]


@lru_cache(maxsize=4)
def compiled(config: LlamaConfig, settings: TrainingSettings, mesh: MeshShape = ONE_DEVICE) -> Program:
    """Raises `ValueError` where the mesh has more devices than there are, or does not divide batch and weights."""
    _check(settings, mesh)
    rules = None if mesh.devices == 1 else ShardingRules(mesh.over(jax.devices()))
    training = Training(config, settings, jax.default_backend(), rules)
    state, batch = training.shapes()
    options = compiler_options() if rules is None else {}
    where = None if rules is None else jax.tree.map(lambda leaf: leaf.sharding, state)
    number = np.zeros((), dtype=np.uint32)
    start = jax.jit(lambda seed: training.begin(training.weights(seed)), out_shardings=where)
    begin = jax.jit(training.begin, out_shardings=where)
    started = start.lower(number).compile(options)
    step = jax.jit(training.step, donate_argnums=0, out_shardings=None if where is None else (where, None))
    stepped = step.lower(state, batch).compile(options)
    return Program(lambda seed: started(np.uint32(seed)), begin, lambda rows: _placed(rows, batch), stepped)


def _placed(rows: Batch, shapes: Batch) -> Batch:
    """Every process puts its part of the batch on its devices; all of them hold the whole batch."""
    if shapes[0].sharding is None:
        return rows
    first, second, third = (_spread(row, shape.sharding) for row, shape in zip(rows, shapes, strict=True))
    return first, second, third


def _spread(row: np.ndarray, sharding: Any) -> jax.Array:
    return jax.make_array_from_callback(row.shape, sharding, lambda index: row[index])


def _check(settings: TrainingSettings, mesh: MeshShape) -> None:
    if settings.batch % (mesh.data * mesh.fsdp):
        raise ValueError(
            f"training.batch {settings.batch} cannot be shared by {mesh.data} x {mesh.fsdp} devices (data x fsdp); "
            "make it a multiple of them, or lower the mesh"
        )
    if jax.process_count() > 1 and mesh.devices != jax.device_count():
        raise ValueError(
            f"{jax.process_count()} workers have {jax.device_count()} devices together, and the mesh is over "
            f"{mesh.devices}; set it so that each has its part, such as DATASHOP_MESH=fsdp={jax.device_count()}"
        )
