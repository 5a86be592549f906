"""Programs compiled for TPUs that are not at hand: what they hold on a chip, what they compute, what they send.

`libtpu` compiles for a described slice (`jax.experimental.topologies`). A program that does not fit is told with the
number by which it is too big. Operations are counted by formula, because the compiler counts a scanned layer once.
"""

import os
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from datashop_assets.models.sharding import MeshShape
from datashop_assets.storage.root import project

GIB = 2**30
QUICK = {"exec_time_optimization_effort": -1.0, "memory_fitting_effort": -1.0}  # 20 s of a core where all takes 180 s
LIBTPU = ".tools/libtpu/libtpu/libtpu.so"
SENT = re.compile(r"= .*? (all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute)(?:-start)?\(")
SIZE = r"([\d.]+)([KMG])"
TOO_BIG = re.compile(rf"Used {SIZE} of {SIZE} hbm|{SIZE}.{{0,40}}exceeds available HBM {SIZE}")
UNITS = {"K": 2.0**-20, "M": 2.0**-10, "G": 1.0}  # in GiB


@dataclass(frozen=True)
class Program:
    """What is compiled, and what is known of it without compiling."""

    name: str
    mesh: MeshShape
    parameters: int
    tokens: int  # a step
    flops: float  # a step
    kernel: str  # of attention
    lowered: Callable[[], Any]


@dataclass(frozen=True)
class Proof:
    """What a compilation said. Memory is a chip's."""

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


def prove(program: Program, topology: str, *, quick: bool = False) -> Proof:
    """Lowers and compiles `program`, made for the chips of `topology`; `quick`: with the least optimization."""
    begun = time.monotonic()
    told = _compiled(program.lowered(), QUICK if quick else {})
    return Proof(
        program=program.name,
        topology=topology,
        mesh=program.mesh,
        parameters=program.parameters,
        tokens_a_step=program.tokens,
        flops_a_step=program.flops,
        kernel=program.kernel,
        compile_seconds=round(time.monotonic() - begun, 1),
        **told,
    )


def described(topology: str) -> list[Any]:
    """The chips of a slice, as `libtpu` describes them. Raises `FileNotFoundError` where it is not installed."""
    from jax.experimental import topologies

    library = Path(os.environ.get("TPU_LIBRARY_PATH") or project() / LIBTPU)
    if not library.exists():
        raise FileNotFoundError(f"no {library}; run `make libtpu`, which installs it")
    here = {"TPU_SKIP_MDS_QUERY": "1", "TPU_ACCELERATOR_TYPE": "v6e-8", "TPU_WORKER_HOSTNAMES": "localhost"}
    for name, value in {"TPU_LIBRARY_PATH": str(library), **here}.items():
        os.environ.setdefault(name, value)  # libtpu asks a metadata server where these are not set
    jax.config.update("jax_platforms", "cpu")  # type: ignore[no-untyped-call] # JAX must not look for a TPU
    return list(topologies.get_topology_desc(topology, "tpu").devices)


def _compiled(lowered: Any, options: dict[str, float]) -> dict[str, Any]:
    try:
        program = lowered.compile(compiler_options=options)
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        needed, says = too_big(str(error))
        return {"fits": False, "gib": needed, "says": says, "collectives": {}}
    memory = program.memory_analysis()
    held = memory.argument_size_in_bytes + memory.output_size_in_bytes - memory.alias_size_in_bytes
    gib = round((held + memory.temp_size_in_bytes) / GIB, 2)
    sent = Counter(SENT.findall(program.as_text()))
    return {"fits": True, "gib": gib, "says": f"{gib} GiB a chip", "collectives": dict(sorted(sent.items()))}


def too_big(error: str) -> tuple[float | None, str]:
    """The compiler's numbers out of its error: GiB that a chip would need, and by how much that is too much."""
    if not (found := TOO_BIG.search(error)):
        return None, error[:300]
    needed, unit, there, of = [each for each in found.groups() if each]
    wanted, had = float(needed) * UNITS[unit], float(there) * UNITS[of]
    return wanted, (
        f"{wanted - had:.2f} GiB too big: it needs {wanted:.2f} GiB of the {had:.2f} that a chip has; lower the rows a "
        "chip, or cut the model over more chips"
    )
