"""The transformer encoder, to be compiled for TPUs: the step that tunes it whole, and the batch that scores a pool."""

from collections.abc import Sequence
from functools import partial
from math import prod
from typing import Any, Literal

import jax
import numpy as np
from tokenizers import Tokenizer, models

from datashop_assets.encoder.transformer import loss_of
from datashop_assets.models import heads
from datashop_assets.models.bert import BertConfig, shapes
from datashop_assets.models.bert_jax import ROWS, SHORTEST, pooled_rows
from datashop_assets.models.bert_weights import Bert
from datashop_assets.models.compile_proof import Program
from datashop_assets.models.sharding import MeshShape, ShardingRules
from datashop_assets.models.tuning import Run, TuningSettings

BASE = BertConfig(  # BERT base, and with it bge-base and arctic-embed-m
    vocab_size=30_522,
    hidden_size=768,
    intermediate_size=3072,
    num_hidden_layers=12,
    num_attention_heads=12,
    max_position_embeddings=512,
)
LENGTH = 512
Use = Literal["tuning", "scoring"]


def encoder(use: Use, devices: Sequence[Any]) -> Program:
    """`ROWS` rows of 512 tokens a chip; weights are on every one."""
    mesh = MeshShape(data=len(devices))
    rows = ROWS * len(devices)
    return Program(
        name=f"encoder-{use}",
        mesh=mesh,
        parameters=sum(prod(shape) for shape in shapes(BASE).values()),
        tokens=rows * LENGTH,
        flops=float(BASE.flops(LENGTH)) * rows * (3 if use == "tuning" else 1),  # backward is twice forward
        kernel="xla",
        lowered=partial(_tuning if use == "tuning" else _scoring, ShardingRules(mesh.over(devices)), devices),
    )


def _tuning(rules: ShardingRules, devices: Sequence[Any]) -> Any:
    rows = ROWS * len(devices)
    base = Bert(BASE, {}, Tokenizer(models.WordLevel()), "mean")
    settings = TuningSettings(epochs=3, learning_rate=5e-5, batch=rows, schedule="cosine", warmup_fraction=0.1)
    run = Run(loss_of(base, "regression", "all"), settings, 1000, devices)
    head = heads.start("regression", BASE.hidden_size, np.ones(1, np.float32), np.ones(1, np.float32))
    weights = {"head": _lying(head, rules), "network": _network(rules)}
    moments = _lying(jax.eval_shape(run.optimizer.init, weights), rules)
    batch = {
        "read": np.broadcast_to(np.int32(0), (rows, LENGTH)),
        "targets": np.broadcast_to(np.float32(0), (rows, 1)),
        "weight": np.broadcast_to(np.float32(0), rows),
    }
    return run.step.trace(weights, moments, _lying(batch, rules, "batch")).lower()


def _scoring(rules: ShardingRules, devices: Sequence[Any]) -> Any:
    row = np.broadcast_to(np.int32(0), (ROWS * len(devices), LENGTH))
    rows = [_lying(row, rules, "batch") for _ in range(3)]
    sizes = {"config": BASE, "pooling": "mean", "documents": LENGTH // SHORTEST}
    return pooled_rows.trace(_network(rules), *rows, **sizes).lower()


def _network(rules: ShardingRules) -> Any:
    return {name: _shape(shape, np.float32, rules.sharding()) for name, shape in shapes(BASE).items()}


def _lying(tree: Any, rules: ShardingRules, *axes: str) -> Any:
    """Arrays as shapes that lie as `axes` say; without any, whole on every chip."""
    return jax.tree.map(lambda leaf: _shape(leaf.shape, leaf.dtype, rules.sharding(*axes)), tree)


def _shape(shape: tuple[int, ...], kind: Any, sharding: Any) -> Any:
    return jax.ShapeDtypeStruct(shape, kind, sharding=sharding)  # type: ignore[no-untyped-call]
