"""Where training runs: in this very process, which is what the `local` profile does, or on a Ray cluster."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datashop_assets.protocols.trainer import IN_SCRATCH, Checkpointing, Trainer

MESH = "DATASHOP_MESH"
CHECKPOINTS = "DATASHOP_CHECKPOINTS"  # a folder or bucket; without it the stage's scratch folder
KEPT = "DATASHOP_CHECKPOINTS_KEPT"  # of each seed
WORKERS = "DATASHOP_TRAINING_WORKERS"  # hosts of a TPU slice, else CPUs
TOPOLOGY = "DATASHOP_TPU_TOPOLOGY"  # such as 4x4
ACCELERATOR = "DATASHOP_TPU_TYPE"  # such as TPU-V6E


def default_mesh() -> str:
    """What `DATASHOP_MESH` says, such as `fsdp=4,tensor=2`, else one device."""
    return os.environ.get(MESH, "")


@dataclass(frozen=True)
class InProcessTrainer:
    """Calls the loop here, on whatever devices JAX finds.

    Checkpoints lie in the stage's scratch folder, or in the folder or bucket `checkpoints`, where they stay.
    """

    mesh: str = field(default_factory=default_mesh)
    checkpointing: Checkpointing = IN_SCRATCH
    checkpoints: str | None = None

    def run(self, loop: Callable[..., Any], **arguments: Any) -> Any:
        if self.checkpoints is None:
            return loop(**arguments)
        from etils import epath  # type: ignore[import-untyped]

        scratch = epath.Path(beside(self.checkpoints, arguments.pop("scratch")))
        return loop(scratch=scratch, **arguments)


def beside(checkpoints: str, scratch: Path) -> str:
    """The place under `checkpoints` that stands for a stage's scratch folder: named by stage and digest."""
    return f"{checkpoints.rstrip('/')}/{scratch.parent.name}/{scratch.name}"


def default_trainer() -> Trainer:
    """The Ray cluster that `RAY_ADDRESS` names, else this process.

    Checkpoints go to `DATASHOP_CHECKPOINTS`, by default to the stage's scratch folder, or, of a cluster, to a folder of
    `DATASHOP_ROOT`. Raises `ValueError` where a cluster is named and neither of these is.
    """
    place, kept = os.environ.get(CHECKPOINTS), Checkpointing(keep=_kept(), asynchronous=True)
    if not (address := os.environ.get("RAY_ADDRESS")):
        return InProcessTrainer(checkpointing=kept, checkpoints=place) if place else InProcessTrainer()
    from resources.ray_training import RayTrainer

    root = os.environ.get("DATASHOP_ROOT", "").rstrip("/")
    if not (checkpoints := place or (f"{root}/checkpoints" if root else "")):
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
        checkpointing=kept,
    )


def _kept() -> int:
    said = os.environ.get(KEPT, "2")
    if not said.isdigit() or said == "0":
        raise ValueError(f"{KEPT} is {said!r}; give the number of checkpoints that are kept, 1 or more")
    return int(said)
