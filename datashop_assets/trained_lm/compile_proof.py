"""The training step of language models, to be compiled for TPUs: the very step that `program.py` compiles here."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax

from datashop_assets.models.compile_proof import Program
from datashop_assets.models.llama import LlamaConfig
from datashop_assets.models.sharding import MeshShape, ShardingRules
from datashop_assets.trained_lm.program import Training
from datashop_assets.trained_lm.settings import TrainingSettings

LENGTH = 4096
VOCABULARY = 32_768
DEPTHS = {"400m": 32, "1b": 44}  # by the one dial for size
LLAMA_8B = LlamaConfig(  # Llama 3.1 8B
    vocab_size=128_256,
    hidden_size=4096,
    intermediate_size=14_336,
    num_hidden_layers=32,
    num_attention_heads=32,
    num_key_value_heads=8,
    head_dim=128,
    rope_theta=500_000.0,
    tie_word_embeddings=False,
)


@dataclass(frozen=True)
class Model:
    """A model to compile for. `rows` are those of a chip: the batch is as many times that as there are chips."""

    config: LlamaConfig
    rows: int


def models() -> dict[str, Model]:
    """400M and 1B from the one dial for size, 8B as Llama 3.1 has it."""
    sized = {name: _settings(depth).llama(VOCABULARY) for name, depth in DEPTHS.items()}
    return {"400m": Model(sized["400m"], 2), "1b": Model(sized["1b"], 1), "8b": Model(LLAMA_8B, 1)}


def training_step(name: str, devices: Sequence[Any], mesh: MeshShape | None = None) -> Program:
    """One step of the model `name`, its weights cut over all devices that divide its width unless `mesh` is given."""
    model = models()[name]
    shape = mesh or MeshShape.cutting(model.config.hidden_size, len(devices))
    settings = _settings(model.config.num_hidden_layers, batch=model.rows * shape.devices)
    training = Training(model.config, settings, "tpu", ShardingRules(shape.over(devices)))
    return Program(
        name=name,
        mesh=shape,
        parameters=model.config.parameters,
        tokens=settings.batch * LENGTH,
        flops=float(model.config.training_flops(LENGTH)) * settings.batch * LENGTH,
        kernel=training.computing.kernel,
        lowered=partial(_lowered, training),
    )


def _lowered(training: Training) -> Any:
    state, batch = training.shapes()
    where = jax.tree.map(lambda leaf: leaf.sharding, state)
    return jax.jit(training.step, donate_argnums=0, out_shardings=(where, None)).trace(state, batch).lower()


def _settings(depth: int, batch: int = 1) -> TrainingSettings:
    return TrainingSettings(
        depth=depth,
        length=LENGTH,
        batch=batch,
        steps=1000,
        seeds=1,
        learning_rate=3e-4,
        warmup_fraction=0.1,
        filtered_share=0.3,
        precision="bfloat16",
        recompute="layers",
    )
