"""Training in this very process: what the `local` profile does."""

from collections.abc import Callable
from typing import Any


class InProcessTrainer:
    """Calls the loop here, on whatever devices JAX finds."""

    def run(self, loop: Callable[..., Any], **arguments: Any) -> Any:
        return loop(**arguments)
