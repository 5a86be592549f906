"""Our side of `train_cpu` and `train_gpu`: the real training step on random tokens, and what the peer starts from."""

import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

from datashop_assets.models.llama.model import Llama
from datashop_assets.models.llama.weights import save_folder
from datashop_assets.trained_lm.training import WEIGHT_DECAY, Batch, compiled, schedule
from datashop_assets.training_documents.settings import TrainingSettings
from datashop_assets_tests.benchmarks.lm_sizes import Sizes

LEARNING_RATE = 0.006


def settings(sizes: Sizes, steps: int, **changes: Any) -> TrainingSettings:
    config = {"depth": sizes["depth"], "length": sizes["length"], "batch": sizes["batch"], "steps": steps, "seeds": 1}
    config |= {"learning_rate": LEARNING_RATE, "warmup_fraction": 0.1, "filtered_share": 0.3, **changes}
    return TrainingSettings(**config)


def prepare(folder: Path, sizes: Sizes, steps: int, **changes: Any) -> dict[str, Any]:
    """Writes the weights and the batch that both sides begin with; returns what the peer must be told."""
    wanted = settings(sizes, steps, **changes)
    config = wanted.llama(sizes["vocabulary"])
    assert (config.hidden_size, config.intermediate_size) == (sizes["width"], sizes["hidden"])
    assert config.num_attention_heads == sizes["heads"]
    weights, _ = compiled(config, wanted).start(0)
    save_folder(nnx.merge(nnx.graphdef(nnx.eval_shape(lambda: Llama(config, rngs=nnx.Rngs(0)))), weights), folder)
    np.save(folder / "tokens.npy", random_batch(sizes)[0])
    rate_at = schedule(wanted)
    rates = [float(rate_at(step)) for step in range(steps)]
    return {"folder": str(folder), "sizes": sizes, "learning_rates": rates, "weight_decay": WEIGHT_DECAY}


def train(sizes: Sizes, *, warmup: int, steps: int, **changes: Any) -> dict[str, Any]:
    """Takes the same batch again and again, so that the loss must fall. Tokens a second after `warmup`, and losses."""
    wanted = settings(sizes, warmup + steps, **changes)
    program = compiled(wanted.llama(sizes["vocabulary"]), wanted)
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
    return {"tokens_per_second": pace, "losses": [float(loss) for loss in losses]}


def random_batch(sizes: Sizes) -> Batch:
    """Documents of 100 tokens."""
    shape = (sizes["batch"], sizes["length"])
    tokens = np.random.default_rng(0).integers(1, sizes["vocabulary"], (shape[0], shape[1] + 1), dtype=np.int32)
    place = np.broadcast_to(np.arange(shape[1], dtype=np.int32), shape)
    return tokens, np.ascontiguousarray(place // 100), np.ascontiguousarray(place % 100)


def agreement(ours: list[float], peers: list[float]) -> dict[str, Any]:
    """First and last loss of both sides, and how far they are apart at the step where they are furthest."""
    apart = float(np.abs(np.array(ours) - np.array(peers)).max())
    return {"ours": [ours[0], ours[-1]], "peer": [peers[0], peers[-1]], "furthest_apart": apart}
