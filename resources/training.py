"""Training in this very process: what the `local` profile does."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from datashop_assets.protocols.trainer import IN_SCRATCH, Checkpointing

MESH = "DATASHOP_MESH"


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
