"""The control and the candidate: the same start, the same steps, the shared rows at the same places.

The demo's models (166,000 weights, 300 steps of 1,024 tokens, five seeds) take some 45 ms a step and core.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import numpy as np
import polars as pl
from flax import nnx
from tokenizers import Tokenizer

from datashop_assets.models.llama import Llama, LlamaConfig
from datashop_assets.models.llama_weights import save_folder
from datashop_assets.stage import Metrics, StageTask
from datashop_assets.trained_lm.loop import Trained, train_seeds
from datashop_assets.trained_lm.program import schedule
from datashop_assets.trained_lm.settings import TrainingSettings
from datashop_assets.trained_lm.streams import Reading, read_streams
from datashop_assets.trained_lm.tokenizer import END, end_token
from datashop_assets.trained_lm.tokens import TOKENIZER

CURVE = "curve.parquet"
CURVE_SCHEMA = {
    "seed": pl.Int32,
    "step": pl.Int32,
    "loss": pl.Float32,
    "learning_rate": pl.Float32,
    "tokens": pl.Int64,
}


def build_control(task: StageTask) -> Metrics:
    """Trains on the pool alone."""
    settings = TrainingSettings.from_config(task.config)
    reading = read_streams(task.inputs["pool_tokens"], None, settings)
    return _build(task, settings, reading, "control_lm")


def build_candidate(task: StageTask) -> Metrics:
    """Trains on the pool with kept documents in the candidate's own rows."""
    settings = TrainingSettings.from_config(task.config)
    reading = read_streams(task.inputs["pool_tokens"], task.inputs["filtered_pool"], settings)
    own = int(settings.own_rows.sum()) * settings.length
    epochs = {
        "filtered_tokens_read": own,
        "filtered_tokens_held": reading.kept_tokens,
        "filtered_epochs": round(own / reading.kept_tokens, 3),
    }
    return {**_build(task, settings, reading, "trained_lm"), **epochs}


def seed_folder(seed: int) -> str:
    return f"seed-{seed}"


def _build(task: StageTask, settings: TrainingSettings, reading: Reading, name: str) -> Metrics:
    if task.tools.trainer is None:
        raise ValueError(f"{name} needs a trainer; give Tools(trainer=...)")
    tokenizer = Tokenizer.from_file(str(task.inputs["pool_tokens"].file(TOKENIZER)))
    config, end = settings.llama(tokenizer.get_vocab_size()), end_token(tokenizer)
    with task.tools.progress.bar(f"training {name}", settings.steps * settings.seeds, "steps") as bar:
        trained: list[Trained] = task.tools.trainer.run(
            train_seeds,
            rows=[partial(streams.rows, settings, end) for streams in reading.seeds],
            config=config,
            settings=settings,
            scratch=task.output.scratch,
            advance=bar.advance,
        )
    for result in trained:
        _export(task, result, config, tokenizer)
    task.output.write_rows(CURVE, _curve(trained, settings), CURVE_SCHEMA)
    return _metrics(trained, config, settings, reading)


def _export(task: StageTask, result: Trained, config: LlamaConfig, tokenizer: Tokenizer) -> None:
    folder = task.output.scratch / "export" / seed_folder(result.seed)
    model = nnx.merge(nnx.graphdef(nnx.eval_shape(lambda: Llama(config, rngs=nnx.Rngs(0)))), result.weights)
    save_folder(model, folder, tokenizer, {"bos_token": END, "eos_token": END})
    for path in sorted(folder.iterdir()):
        task.output.put_file(f"{seed_folder(result.seed)}/{path.name}", path)


def _curve(trained: list[Trained], settings: TrainingSettings) -> Iterator[dict[str, Any]]:
    rates = np.asarray([schedule(settings)(step) for step in range(settings.steps)], dtype=np.float32)
    for result in trained:
        for step, (loss, rate) in enumerate(zip(result.losses.tolist(), rates.tolist(), strict=True)):
            tokens = (step + 1) * settings.batch * settings.length
            yield {"seed": result.seed, "step": step, "loss": loss, "learning_rate": rate, "tokens": tokens}


def _metrics(trained: list[Trained], config: LlamaConfig, settings: TrainingSettings, reading: Reading) -> Metrics:
    seconds = sum(result.seconds for result in trained)
    weights = sum(int(np.size(leaf)) for leaf in jax.tree.leaves(trained[0].weights))
    done = sum(result.steps for result in trained)
    last = max(1, settings.steps // 20)
    return {
        "parameters": weights,
        "width": config.hidden_size,
        "layers": config.num_hidden_layers,
        "tokens": settings.tokens,
        "pool_training_tokens": reading.pool_tokens,
        "training_seconds": round(seconds, 2),  # of all seeds, several of which run at once
        "tokens_per_second": round(done * settings.batch * settings.length / max(seconds, 1e-9)),  # of one seed
        "final_loss": [round(float(result.losses[-last:].mean()), 4) for result in trained],
    }
