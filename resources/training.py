"""Where training runs: in this very process, which is what the `local` profile does, or on a Ray cluster."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from datashop_assets.protocols.trainer import IN_SCRATCH, Checkpointing, Trainer

MESH = "DATASHOP_MESH"
CHECKPOINTS = "DATASHOP_CHECKPOINTS"
WORKERS = "DATASHOP_TRAINING_WORKERS"  # hosts of a TPU slice, else CPUs
TOPOLOGY = "DATASHOP_TPU_TOPOLOGY"  # such as 4x4
ACCELERATOR = "DATASHOP_TPU_TYPE"  # such as TPU-V6E


def default_mesh() -> str:
    """What `DATASHOP_MESH` says, such as `fsdp=4,tensor=2`, else one device."""
    return os.environ.get(MESH, "")


@dataclass(frozen=True)
class InProcessTrainer:
    """Calls the loop here, on whatever devices JAX finds."""

    mesh: str = field(default_factory=default_mesh)
    checkpointing: Checkpointing = IN_SCRATCH

    def run(self, loop: Callable[..., Any], **arguments: Any) -> Any:
        return loop(**arguments)


def default_trainer() -> Trainer:
    """The Ray cluster that `RAY_ADDRESS` names, else this process.

    Checkpoints go to `DATASHOP_CHECKPOINTS`, by default a folder of `DATASHOP_ROOT`. Raises `ValueError` where a
    cluster is named and neither of these is.
    """
    if not (address := os.environ.get("RAY_ADDRESS")):
        return InProcessTrainer()
    from resources.ray_training import RayTrainer

    root = os.environ.get("DATASHOP_ROOT", "").rstrip("/")
    if not (checkpoints := os.environ.get(CHECKPOINTS) or (f"{root}/checkpoints" if root else "")):
        raise ValueError(
            f"RAY_ADDRESS is {address!r} and {CHECKPOINTS} is not set; name a folder or bucket that all workers see"
        )
    return RayTrainer(
        address,
        checkpoints,
        workers=int(os.environ.get(WORKERS, "1")),
        topology=os.environ.get(TOPOLOGY),
        accelerator=os.environ.get(ACCELERATOR),
        mesh=default_mesh(),
    )
