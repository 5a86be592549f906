"""Where a training loop runs. The loop itself is the room's and is handed over as a callable."""

from collections.abc import Callable
from typing import Any, Protocol


class Trainer(Protocol):
    def run(self, loop: Callable[..., Any], **arguments: Any) -> Any:
        """Calls `loop(**arguments)` on the hardware this trainer stands for and returns what it returned."""
        ...
