"""Where a training loop runs, and over which devices. The loop itself is the caller's, and is handed over."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Checkpointing:
    """How often a run saves itself, how many of its checkpoints are kept, and whether it waits for them."""

    seconds: float | None = None  # between checkpoints; None: what the loop finds right
    keep: int = 1
    asynchronous: bool = False


IN_SCRATCH = Checkpointing()


class Trainer(Protocol):
    @property
    def mesh(self) -> str:
        """How many devices stand along each axis, such as `fsdp=4,tensor=2`; empty for one device."""
        ...

    @property
    def checkpointing(self) -> Checkpointing: ...

    def run(self, loop: Callable[..., Any], **arguments: Any) -> Any:
        """Calls `loop(**arguments)` on the hardware this trainer stands for and returns what it returned.

        `advance` among the arguments, a callable, is called with work done; it stays in this process. `scratch`, a
        stage's local folder, may reach the loop as another one, of the same name, that outlives this machine.
        """
        ...
