"""Training on rows of tokens: the step, the program that it is compiled to, and the loop over every seed's steps.

AdamW on float32 weights, clipped gradients, one device or a mesh of them. On a CPU with one device a step is compiled
for one thread: matrices this small gain nothing from being split (two seeds side by side take half the time of one
after the other), and what one thread computes does not depend on how many cores there are. So every seed has a thread
there, and as many run at once as there are cores; on an accelerator or a mesh one runs after the other. Compiled once a
process for control and candidate, in some 10 s of one core. A look at the loss waits for the device, so it is taken
every tenth step. Checkpoints resume to the bit.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from datashop_assets.models.attention import Computing, kernel_of
from datashop_assets.models.llama.model import Llama, LlamaConfig, axes_of, parts_of, token_losses
from datashop_assets.models.sharding import ONE_DEVICE, MeshShape, ShardingRules, compiler_options, workers
from datashop_assets.protocols.trainer import IN_SCRATCH, Checkpointing
from datashop_assets.trained_lm.checkpoints import Checkpoints, History
from datashop_assets.trained_lm.mixture import Rows
from datashop_assets.training_documents.settings import TrainingSettings

DECAYS_TO = 0.1  # of the highest learning rate, at the last step; an anneal goes to zero
WEIGHT_DECAY = 0.1
CHECK_EVERY = 10  # steps
NAMED = 40  # documents named in an error
LOGGER = "datashop.training"  # Dagster shows the logger `datashop` in a run's events (`python_logs` in its settings)
LOG_EVERY = 30.0  # seconds
SIDE = {"cpu": 512, "gpu": 8192, "tpu": 8192}  # of the matrices that the machine's rate is measured with
TRIES = 5

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
class TrainingFunctions:
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

    def loss(self) -> Callable[[Any, Batch], jax.Array]:
        """Weights and batch -> mean loss in nats a token."""
        graph = nnx.graphdef(nnx.eval_shape(lambda: self._model(nnx.Rngs(0))))
        devices = 1 if self.rules is None else self.rules.mesh.size
        parts = parts_of(self.settings.batch, self.settings.length, self.config.vocab_size, devices)

        def loss(weights: Any, batch: Batch) -> jax.Array:
            tokens, segments, positions = batch
            model = nnx.merge(graph, weights)
            hidden = model.hidden(tokens[:, :-1], positions=positions, segments=segments, computing=self.computing)
            return token_losses(model.logits, hidden, tokens[:, 1:], parts=parts).mean()

        return loss

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
    _check_mesh(settings, mesh)
    rules = None if mesh.devices == 1 else ShardingRules(mesh.over(jax.devices()))
    training = TrainingFunctions(config, settings, jax.default_backend(), rules)
    state, batch = training.shapes()
    options = compiler_options() if rules is None else {}
    where = None if rules is None else jax.tree.map(lambda leaf: leaf.sharding, state)
    number = np.zeros((), dtype=np.uint32)
    start = jax.jit(lambda seed: training.begin(training.weights(seed)), out_shardings=where)
    begin = jax.jit(training.begin, out_shardings=where)
    started = start.lower(number).compile(options)
    step = jax.jit(training.step, donate_argnums=0, out_shardings=None if where is None else (where, None))
    stepped = step.lower(state, batch).compile(options)
    return Program(lambda seed: started(np.uint32(seed)), begin, lambda rows: _spread(rows, batch), stepped)


def _check_mesh(settings: TrainingSettings, mesh: MeshShape) -> None:
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


def _spread(rows: Batch, shapes: Batch) -> Batch:
    """Every process puts its part of the batch on its devices; all of them hold the whole batch."""
    if shapes[0].sharding is None:
        return rows

    def placed(row: np.ndarray, shape: Any) -> jax.Array:
        return jax.make_array_from_callback(row.shape, shape.sharding, lambda index: row[index])

    first, second, third = (placed(row, shape) for row, shape in zip(rows, shapes, strict=True))
    return first, second, third


@lru_cache(maxsize=4)
def device_rate(precision: str) -> float:
    """Floating-point operations a second of a square matrix product on one device, the best of a few tries: what a
    training step is measured by.

    On a CPU of one thread, as models are trained there: 512 x 512 takes some 5 ms.
    """
    side = SIDE.get(jax.default_backend(), 2048)
    square = jnp.ones((side, side), dtype=precision)
    product = jax.jit(jnp.matmul).lower(square, square).compile(compiler_options())
    product(square, square).block_until_ready()

    def seconds() -> float:
        begun = time.perf_counter()
        product(square, square).block_until_ready()
        return time.perf_counter() - begun

    return 2 * side**3 / min(seconds() for _ in range(TRIES))


@dataclass(frozen=True)
class TrainedSeed:
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
) -> list[TrainedSeed]:
    """Trains a model for every seed 0, 1, ... on its rows; `advance` is given the number of steps done.

    `weights` gives those to begin with, as the nnx state of `Llama`; without it they are drawn by seed. Raises
    `FloatingPointError` naming seed, step, documents and the last checkpoint where the loss is no number.
    """
    shape = MeshShape.parse(mesh)
    program = compiled(config, settings, shape)
    rate = device_rate(settings.precision) * shape.devices
    lock = Lock()

    def advance_together(steps: float) -> None:
        with lock:
            advance(steps)

    def one(seed: int) -> TrainedSeed:
        def start() -> State:
            return program.start(seed) if weights is None else program.begin(weights())

        read = rows[seed]()
        folder = scratch / f"seed-{seed}-{read.digest}"  # no run that reads something else resumes from it
        with Checkpoints(folder, checkpointing) as checkpoints:
            return _SeedRun(seed, program, settings, rate, checkpoints, advance_together).train(start, read)

    with ThreadPoolExecutor(workers() if shape.devices == 1 else 1) as pool:
        return list(pool.map(one, range(len(rows))))


@dataclass(frozen=True)
class _SeedRun:
    """One seed's training."""

    seed: int
    program: Program
    settings: TrainingSettings
    rate: float
    checkpoints: Checkpoints
    advance: Callable[[float], None]

    def train(self, start: Callable[[], State], rows: Rows) -> TrainedSeed:
        begun = time.monotonic()
        state, history = self.checkpoints.restore(start())
        resumed, steps = len(history), self.settings.steps
        self.advance(resumed)
        journal, pending = Journal(self.seed, self.settings, resumed), list[jax.Array]()
        since = time.monotonic()
        for step, batch in _batches(rows, self.settings.batch, resumed):
            state, nats = self.program.step(state, self.program.place(batch))
            pending.append(nats)
            if len(pending) == CHECK_EVERY or step == steps - 1:
                history = np.concatenate([history, self._looked_at(pending, rows, len(history), since)])
                self.advance(len(pending))
                journal.look(history)
                pending = []
                self.checkpoints.save(state, history, last=step == steps - 1)
                since = time.monotonic()
        weights = _on_the_host(state[0])
        return TrainedSeed(self.seed, weights, history, len(history) - resumed, time.monotonic() - begun, self.rate)

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


class Journal:
    """What the log says of one seed, which begins with `resumed` steps done: a line now and then, one at its end."""

    def __init__(self, seed: int, settings: TrainingSettings, resumed: int) -> None:
        self._seed, self._settings, self._logged = seed, settings, time.monotonic()
        if resumed:
            logging.getLogger(LOGGER).info("seed %d goes on after step %d", seed, resumed)

    def look(self, history: History) -> None:
        """history [steps taken, 2]: loss and seconds of each."""
        done, now = len(history), time.monotonic()
        if done < self._settings.steps and now - self._logged < LOG_EVERY:
            return
        self._logged = now
        loss, seconds = history[-10:].mean(axis=0)
        logging.getLogger(LOGGER).info(
            "seed %d: step %d of %d, loss %.4f nats a token, %.0f tokens a second",
            self._seed,
            done,
            self._settings.steps,
            loss,
            self._settings.batch * self._settings.length / max(seconds, 1e-9),
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
