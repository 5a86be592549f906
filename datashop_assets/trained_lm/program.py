"""The compiled step: AdamW, warm-up and cosine decay, clipped gradients, float32.

On a CPU a step is compiled for one thread: matrices this small gain nothing from being split (two seeds side by side
take half the time of one after the other), and what one thread computes does not depend on how many cores there are.
Compiled once a process for control and candidate, in some 10 s of one core.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import numpy as np
import optax
from flax import nnx

from datashop_assets.models.llama import Llama, LlamaConfig
from datashop_assets.trained_lm.settings import TrainingSettings

ONE_THREAD = {"xla_cpu_multi_thread_eigen": False}
DECAYS_TO = 0.1  # of the highest learning rate, at the last step
WEIGHT_DECAY = 0.1

State = tuple[Any, Any]  # weights and optimizer state


def workers() -> int:
    """How many models are worked on at once in this process."""
    return len(os.sched_getaffinity(0)) if jax.default_backend() == "cpu" else 1


def compiler_options() -> dict[str, Any]:
    return ONE_THREAD if jax.default_backend() == "cpu" else {}


def schedule(settings: TrainingSettings) -> optax.Schedule:
    """Learning rate by step: linear warm-up, then a cosine down to a tenth."""
    warmup = round(settings.steps * settings.warmup_fraction)
    return optax.warmup_cosine_decay_schedule(
        0.0, settings.learning_rate, warmup, settings.steps, settings.learning_rate * DECAYS_TO
    )


@dataclass(frozen=True)
class Program:
    start: Callable[[int], State]
    step: Callable[[State, Any], tuple[State, jax.Array]]


@lru_cache(maxsize=4)
def compiled(config: LlamaConfig, settings: TrainingSettings) -> Program:
    """The two compiled functions of a run: the start from a seed, and a step."""
    optimizer = optax.chain(
        optax.clip_by_global_norm(1.0), optax.adamw(schedule(settings), b2=0.95, weight_decay=WEIGHT_DECAY)
    )
    graph = nnx.graphdef(nnx.eval_shape(lambda: Llama(config, rngs=nnx.Rngs(0))))

    def start(seed: jax.Array) -> State:
        weights = nnx.state(Llama(config, rngs=nnx.Rngs(jax.random.key(seed))), nnx.Param)
        return weights, optimizer.init(weights)

    def loss(weights: Any, batch: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
        tokens, segments, positions = batch
        model = nnx.merge(graph, weights)
        logits = model.logits(model.hidden(tokens[:, :-1], positions=positions, segments=segments))
        nats: jax.Array = optax.softmax_cross_entropy_with_integer_labels(logits, tokens[:, 1:])
        return nats.mean()

    def step(state: State, batch: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[State, jax.Array]:
        weights, moments = state
        nats, gradients = jax.value_and_grad(loss)(weights, batch)
        updates, moments = optimizer.update(gradients, moments, weights)
        return (optax.apply_updates(weights, updates), moments), nats

    number = np.zeros((), dtype=np.uint32)
    read = np.zeros((settings.batch, settings.length), dtype=np.int32)
    tokens = np.zeros((settings.batch, settings.length + 1), dtype=np.int32)
    state = jax.eval_shape(start, number)
    started = jax.jit(start).lower(number).compile(compiler_options())
    stepped = jax.jit(step, donate_argnums=0).lower(state, (tokens, read, read)).compile(compiler_options())
    return Program(lambda seed: started(np.uint32(seed)), stepped)
