"""Our side of `train_cpu` and `train_gpu`: the real training step on random tokens."""

import time
from typing import Any

import jax
import numpy as np

from datashop_assets.trained_lm.program import Batch, compiled
from datashop_assets.trained_lm.settings import TrainingSettings
from datashop_assets_tests.benchmarks.lm_sizes import Sizes

LEARNING_RATE = 0.006


def settings(sizes: Sizes, steps: int, **changes: Any) -> TrainingSettings:
    config = {"depth": sizes["depth"], "length": sizes["length"], "batch": sizes["batch"], "steps": steps, "seeds": 1}
    config |= {"learning_rate": LEARNING_RATE, "warmup_fraction": 0.0, "filtered_share": 0.3, **changes}
    return TrainingSettings.from_config(config)


def tokens_per_second(sizes: Sizes, *, warmup: int, steps: int, **changes: Any) -> dict[str, float]:
    """Takes the same batch again and again, so that the loss must fall."""
    wanted = settings(sizes, warmup + steps, **changes)
    config = wanted.llama(sizes["vocabulary"])
    assert (config.hidden_size, config.intermediate_size) == (sizes["width"], sizes["hidden"])
    assert config.num_attention_heads == sizes["heads"]
    program = compiled(config, wanted)
    state, batch, losses = program.start(0), random_batch(sizes), []
    begun = 0.0
    for step in range(warmup + steps):
        if step == warmup:
            jax.block_until_ready(state)
            begun = time.perf_counter()
        state, loss = program.step(state, batch)
        losses.append(loss)
    jax.block_until_ready(state)
    pace = steps * sizes["batch"] * sizes["length"] / (time.perf_counter() - begun)
    return {"tokens_per_second": pace, "first_loss": float(losses[0]), "last_loss": float(losses[-1])}


def random_batch(sizes: Sizes) -> Batch:
    """Documents of 100 tokens."""
    shape = (sizes["batch"], sizes["length"])
    tokens = np.random.default_rng(0).integers(1, sizes["vocabulary"], (shape[0], shape[1] + 1), dtype=np.int32)
    place = np.broadcast_to(np.arange(shape[1], dtype=np.int32), shape)
    return tokens, np.ascontiguousarray(place // 100), np.ascontiguousarray(place % 100)
