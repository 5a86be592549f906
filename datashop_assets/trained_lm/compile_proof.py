"""The training step compiled for TPUs, without one: what it holds on a chip, what it computes, what it sends.

    make compile
    python -m datashop_assets.trained_lm.compile_proof --model 1b --topology v6e:16x16

`libtpu` compiles for a described slice. A program that does not fit is reported by how much it is too big. Operations
are counted by formula, because the compiler counts a scanned layer once. On two cores a compilation takes some minutes.
"""

import argparse
import json
import os
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax

from datashop_assets.models.llama import LlamaConfig
from datashop_assets.models.sharding import MeshShape, ShardingRules
from datashop_assets.storage.root import project
from datashop_assets.trained_lm.program import Training
from datashop_assets.trained_lm.settings import TrainingSettings

GIB = 2**30
LIBTPU = ".tools/libtpu/libtpu/libtpu.so"
LENGTH = 4096
VOCABULARY = 32_768
DEPTHS = {"400m": 32, "1b": 44}  # by the one dial for size
TOPOLOGIES = ("v6e:2x4", "v6e:8x16", "v6e:16x16")  # v6e-8, v6e-128, v6e-256
SENT = re.compile(r"= .*? (all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute)(?:-start)?\(")
TOO_BIG = re.compile(r"Used ([\d.]+[KMG]) of ([\d.]+[KMG]) hbm|([\d.]+[KMG]).{0,40}exceeds available HBM ([\d.]+[KMG])")
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


@dataclass(frozen=True)
class Proof:
    """What a compilation said. Memory is a chip's."""

    model: str
    topology: str
    mesh: MeshShape
    parameters: int
    batch_tokens: int
    kernel: str
    fits: bool
    gib: float | None  # needed on a chip; None where only the error says it
    says: str
    flops_a_step: float
    collectives: dict[str, int]  # operations in the compiled program; those in the layers' loop once
    compile_seconds: float


def models() -> dict[str, Model]:
    """400M and 1B from the one dial for size, 8B as Llama 3.1 has it."""
    sized = {name: _settings(depth).llama(VOCABULARY) for name, depth in DEPTHS.items()}
    return {"400m": Model(sized["400m"], 2), "1b": Model(sized["1b"], 1), "8b": Model(LLAMA_8B, 1)}


def prove(name: str, topology: str, mesh: MeshShape | None = None) -> Proof:
    """Compiles one step of `name` for `topology`, with weights cut over all chips where `mesh` says nothing else."""
    model, devices = models()[name], described(topology)
    shape = mesh or MeshShape(fsdp=len(devices))
    settings = _settings(model.config.num_hidden_layers, batch=model.rows * len(devices))
    training = Training(model.config, settings, "tpu", ShardingRules(shape.over(devices)))
    begun = time.monotonic()
    told = _compiled(training)
    return Proof(
        model=name,
        topology=topology,
        mesh=shape,
        parameters=model.config.parameters,
        batch_tokens=settings.batch * LENGTH,
        kernel=training.computing.kernel,
        flops_a_step=float(model.config.training_flops(LENGTH)) * settings.batch * LENGTH,
        compile_seconds=round(time.monotonic() - begun, 1),
        **told,
    )


def described(topology: str) -> list[Any]:
    """The chips of a slice, as `libtpu` describes them. Raises `FileNotFoundError` where it is not installed."""
    from jax.experimental import topologies

    library = Path(os.environ.get("TPU_LIBRARY_PATH") or project() / LIBTPU)
    if not library.exists():
        raise FileNotFoundError(f"no {library}; run `make test-tpu` or `make compile`, which install libtpu")
    here = {"TPU_SKIP_MDS_QUERY": "1", "TPU_ACCELERATOR_TYPE": "v6e-8", "TPU_WORKER_HOSTNAMES": "localhost"}
    for name, value in {"TPU_LIBRARY_PATH": str(library), **here}.items():
        os.environ.setdefault(name, value)  # libtpu asks a metadata server where these are not set
    jax.config.update("jax_platforms", "cpu")  # type: ignore[no-untyped-call] # JAX must not look for a TPU
    return list(topologies.get_topology_desc(topology, "tpu").devices)


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


def _compiled(training: Training) -> dict[str, Any]:
    state, batch = training.shapes()
    where = jax.tree.map(lambda leaf: leaf.sharding, state)
    lowered = jax.jit(training.step, donate_argnums=0, out_shardings=(where, None)).trace(state, batch).lower()
    try:
        program = lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return {"fits": False, "gib": None, "says": too_big(str(error)), "collectives": {}}
    memory = program.memory_analysis()
    held = memory.argument_size_in_bytes + memory.output_size_in_bytes - memory.alias_size_in_bytes
    gib = (held + memory.temp_size_in_bytes) / GIB
    sent = Counter(SENT.findall(program.as_text()))
    return {
        "fits": True,
        "gib": round(gib, 2),
        "says": f"{gib:.2f} GiB a chip",
        "collectives": dict(sorted(sent.items())),
    }


def too_big(error: str) -> str:
    """The compiler's numbers out of its error: what is needed, what there is."""
    if found := TOO_BIG.search(error):
        needed, there = [each for each in found.groups() if each]
        return f"needs {needed} of the {there} that a chip has; lower the rows a chip, or cut the model over more chips"
    return error[:300]


def _chosen() -> Iterator[tuple[str, str, MeshShape | None]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=sorted(models()), action="append")
    parser.add_argument("--topology", action="append", help=f"default: {' '.join(TOPOLOGIES)}")
    parser.add_argument("--mesh", type=MeshShape.parse, help="such as fsdp=32,tensor=4; default: all chips along fsdp")
    given = parser.parse_args()
    for name in given.model or models():
        for topology in given.topology or TOPOLOGIES:
            yield name, topology, given.mesh


def main() -> None:
    for name, topology, mesh in _chosen():
        print(json.dumps(asdict(prove(name, topology, mesh))), flush=True)  # noqa: T201 - what the command is for


if __name__ == "__main__":
    main()
