"""Programs of the graph compiled for TPU slices that are not at hand: memory a chip, arithmetic, communication.

`libtpu` compiles for a slice that is only described (`jax.experimental.topologies`). Three kinds of program run on
TPUs: the training step of language models, the step that tunes the encoder whole, and the batch that scores a pool.
Each is lowered from the very functions that run, with shapes in place of arrays. A program that does not fit is
reported with the number by which it is too big. Operations are counted by formula, because the compiler counts a
scanned layer once.
"""

import os
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
from tokenizers import Tokenizer
from tokenizers import models as tokenizer_models

from datashop_assets.models.bert import heads
from datashop_assets.models.bert.config import BertConfig
from datashop_assets.models.bert.model import ROWS, SHORTEST, Bert, pooled_rows
from datashop_assets.models.bert.names import shapes
from datashop_assets.models.llama.model import LlamaConfig
from datashop_assets.models.sharding import MeshShape, ShardingRules
from datashop_assets.models.tuning import Run, TuningSettings
from datashop_assets.storage.root import project
from datashop_assets.trained_lm.training import TrainingFunctions
from datashop_assets.training_documents.settings import TrainingSettings

LIBTPU = ".tools/libtpu/libtpu/libtpu.so"
QUICK = {"exec_time_optimization_effort": -1.0, "memory_fitting_effort": -1.0}  # 20 s of a core where all takes 180 s
GIB = 2**30
UNITS = {"K": 2.0**-20, "M": 2.0**-10, "G": 1.0}  # in GiB
SIZE = r"([\d.]+)([KMG])"
TOO_BIG = re.compile(rf"Used {SIZE} of {SIZE} hbm|{SIZE}.{{0,40}}exceeds available HBM {SIZE}")
COLLECTIVE = re.compile(r"= .*? (all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute)(?:-start)?\(")

LENGTH = 4096  # of a language model's rows
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
ENCODER_LENGTH = 512
BERT_BASE = BertConfig(  # BERT base, and with it bge-base and arctic-embed-m
    vocab_size=30_522,
    hidden_size=768,
    intermediate_size=3072,
    num_hidden_layers=12,
    num_attention_heads=12,
    max_position_embeddings=512,
)


@dataclass(frozen=True)
class TpuProgram:
    """What is compiled, and what is known of it without compiling."""

    name: str
    mesh: MeshShape
    parameters: int
    tokens: int  # a step
    flops: float  # a step
    kernel: str  # of attention
    lower: Callable[[], Any]


@dataclass(frozen=True)
class CompilationReport:
    """What the compiler found. Memory is a chip's."""

    program: str
    topology: str
    mesh: MeshShape
    parameters: int
    tokens_a_step: int
    flops_a_step: float
    kernel: str
    fits: bool
    gib: float | None  # needed on a chip; None where the compiler did not say
    says: str
    collectives: dict[str, int]  # operations in the compiled program; those in the layers' loop once
    compile_seconds: float


def compile_program(program: TpuProgram, topology: str, *, quick: bool = False) -> CompilationReport:
    """Lowers and compiles `program`, made for the chips of `topology`; `quick`: with the least optimization."""
    begun = time.monotonic()
    collectives: Counter[str] = Counter()
    try:
        compiled = program.lower().compile(compiler_options=QUICK if quick else {})
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        fits, (gib, says) = False, too_big(str(error))
    else:
        memory = compiled.memory_analysis()
        held = memory.argument_size_in_bytes + memory.output_size_in_bytes - memory.alias_size_in_bytes
        gib = round((held + memory.temp_size_in_bytes) / GIB, 2)
        fits, says = True, f"{gib} GiB a chip"
        collectives.update(COLLECTIVE.findall(compiled.as_text()))
    return CompilationReport(
        program=program.name,
        topology=topology,
        mesh=program.mesh,
        parameters=program.parameters,
        tokens_a_step=program.tokens,
        flops_a_step=program.flops,
        kernel=program.kernel,
        fits=fits,
        gib=gib,
        says=says,
        collectives=dict(sorted(collectives.items())),
        compile_seconds=round(time.monotonic() - begun, 1),
    )


def too_big(error: str) -> tuple[float | None, str]:
    """The compiler's numbers out of its error: GiB that a chip would need, and by how much that is too much."""
    if not (match := TOO_BIG.search(error)):
        return None, error[:300]
    needed, needed_unit, available, available_unit = [group for group in match.groups() if group]
    wanted, had = float(needed) * UNITS[needed_unit], float(available) * UNITS[available_unit]
    return wanted, (
        f"{wanted - had:.2f} GiB too big: it needs {wanted:.2f} GiB of the {had:.2f} that a chip has; lower the rows a "
        "chip, or cut the model over more chips"
    )


def slice_devices(topology: str, library: str | None = None) -> list[Any]:
    """The chips of a slice, as `libtpu` describes them: the file `library`, else the one that `make libtpu` installs.

    Raises `FileNotFoundError` where it is not installed.
    """
    from jax.experimental import topologies

    libtpu = Path(library or project() / LIBTPU)
    if not libtpu.exists():
        raise FileNotFoundError(f"no {libtpu}; run `make libtpu`, which installs it")
    here = {"TPU_SKIP_MDS_QUERY": "1", "TPU_ACCELERATOR_TYPE": "v6e-8", "TPU_WORKER_HOSTNAMES": "localhost"}
    for name, value in {"TPU_LIBRARY_PATH": str(libtpu), **here}.items():
        os.environ.setdefault(name, value)  # libtpu asks a metadata server where these are not set
    jax.config.update("jax_platforms", "cpu")  # type: ignore[no-untyped-call] # JAX must not look for a TPU
    return list(topologies.get_topology_desc(topology, "tpu").devices)


def program(name: str, devices: Sequence[Any], mesh: str | None = None) -> TpuProgram:
    """The program `name`: a language model of `models`, "encoder-tuning" or "encoder-scoring".

    `mesh` is that of a language model, as `MeshShape.parse` reads it.
    """
    match name:
        case "encoder-tuning":
            return encoder("tuning", devices)
        case "encoder-scoring":
            return encoder("scoring", devices)
    return training_step(name, devices, MeshShape.parse(mesh) if mesh else None)


@dataclass(frozen=True)
class Model:
    """A model to compile for. `rows` are those of a chip: the batch is as many times that as there are chips."""

    config: LlamaConfig
    rows: int


def models() -> dict[str, Model]:
    """400M and 1B from the one dial for size, 8B as Llama 3.1 has it."""
    sized = {name: _settings(depth).llama(VOCABULARY) for name, depth in DEPTHS.items()}
    return {"400m": Model(sized["400m"], 2), "1b": Model(sized["1b"], 1), "8b": Model(LLAMA_8B, 1)}


def training_step(name: str, devices: Sequence[Any], mesh: MeshShape | None = None) -> TpuProgram:
    """One step of the model `name`, its weights cut over all devices that divide its width unless `mesh` is given."""
    model = models()[name]
    shape = mesh or MeshShape.cutting(model.config.hidden_size, len(devices))
    settings = _settings(model.config.num_hidden_layers, batch=model.rows * shape.devices)
    training = TrainingFunctions(model.config, settings, "tpu", ShardingRules(shape.over(devices)))

    def lower() -> Any:
        state, batch = training.shapes()
        where = jax.tree.map(lambda leaf: leaf.sharding, state)
        return jax.jit(training.step, donate_argnums=0, out_shardings=(where, None)).trace(state, batch).lower()

    return TpuProgram(
        name=name,
        mesh=shape,
        parameters=model.config.parameters,
        tokens=settings.batch * LENGTH,
        flops=float(model.config.training_flops(LENGTH)) * settings.batch * LENGTH,
        kernel=training.computing.kernel,
        lower=lower,
    )


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


def encoder(use: Literal["tuning", "scoring"], devices: Sequence[Any]) -> TpuProgram:
    """`ROWS` rows of 512 tokens a chip; weights are on every one."""
    mesh = MeshShape(data=len(devices))
    rows = ROWS * len(devices)
    return TpuProgram(
        name=f"encoder-{use}",
        mesh=mesh,
        parameters=sum(prod(shape) for shape in shapes(BERT_BASE).values()),
        tokens=rows * ENCODER_LENGTH,
        flops=float(BERT_BASE.flops(ENCODER_LENGTH)) * rows * (3 if use == "tuning" else 1),  # backward: twice forward
        kernel="xla",
        lower=partial(_lower_tuning if use == "tuning" else _lower_scoring, ShardingRules(mesh.over(devices)), devices),
    )


def _lower_tuning(rules: ShardingRules, devices: Sequence[Any]) -> Any:
    from datashop_assets.encoder_kinds.transformer import loss_of

    rows = ROWS * len(devices)
    base = Bert(BERT_BASE, {}, Tokenizer(tokenizer_models.WordLevel()), "mean")
    settings = TuningSettings(epochs=3, learning_rate=5e-5, batch=rows, schedule="cosine", warmup_fraction=0.1)
    run = Run(loss_of(base, "regression", "all"), settings, 1000, devices)
    head = heads.start("regression", BERT_BASE.hidden_size, np.ones(1, np.float32), np.ones(1, np.float32))
    weights = {"head": _sharded(head, rules), "network": _network(rules)}
    moments = _sharded(jax.eval_shape(run.optimizer.init, weights), rules)
    batch = {
        "read": np.broadcast_to(np.int32(0), (rows, ENCODER_LENGTH)),
        "targets": np.broadcast_to(np.float32(0), (rows, 1)),
        "weight": np.broadcast_to(np.float32(0), rows),
    }
    return run.step.trace(weights, moments, _sharded(batch, rules, "batch")).lower()


def _lower_scoring(rules: ShardingRules, devices: Sequence[Any]) -> Any:
    row = np.broadcast_to(np.int32(0), (ROWS * len(devices), ENCODER_LENGTH))
    rows = [_sharded(row, rules, "batch") for _ in range(3)]
    sizes = {"config": BERT_BASE, "pooling": "mean", "documents": ENCODER_LENGTH // SHORTEST}
    return pooled_rows.trace(_network(rules), *rows, **sizes).lower()


def _network(rules: ShardingRules) -> Any:
    return {name: _shape(shape, np.float32, rules.sharding()) for name, shape in shapes(BERT_BASE).items()}


def _sharded(tree: Any, rules: ShardingRules, *axes: str) -> Any:
    """Arrays as shapes that lie as `axes` say; without any, whole on every chip."""
    return jax.tree.map(lambda leaf: _shape(leaf.shape, leaf.dtype, rules.sharding(*axes)), tree)


def _shape(shape: tuple[int, ...], kind: Any, sharding: Any) -> Any:
    return jax.ShapeDtypeStruct(shape, kind, sharding=sharding)  # type: ignore[no-untyped-call]
