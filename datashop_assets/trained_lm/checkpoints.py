"""Checkpoints of a training run, written by orbax: whole or not at all, the newest one kept.

They live in a stage's scratch folder, which outlives a killed process. A resumed run takes the same steps to the bit.
"""

import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import jax
import numpy as np
import orbax.checkpoint as ocp


class Checkpoints:
    """The checkpoints of one seed. Saves at most every `seconds`, and always when the run is at its end."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self._seconds = seconds
        self._saved = time.monotonic()
        options = ocp.CheckpointManagerOptions(max_to_keep=1, enable_async_checkpointing=False)
        self._manager = ocp.CheckpointManager(folder.absolute(), options=options)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._manager.close()

    def restore(self, fresh: Any) -> tuple[Any, np.ndarray]:
        """The state and the losses so far [steps taken]; `fresh` and none where nothing was saved."""
        if (latest := self._manager.latest_step()) is None:
            return fresh, np.empty(0, dtype=np.float32)
        leaves, shape = jax.tree.flatten(fresh)
        saved = self._manager.restore(
            latest, args=ocp.args.StandardRestore({"leaves": leaves, "losses": np.zeros(latest, np.float32)})
        )
        return jax.tree.unflatten(shape, saved["leaves"]), saved["losses"]

    def save(self, state: Any, losses: np.ndarray, *, last: bool) -> None:
        if last or time.monotonic() - self._saved >= self._seconds:
            saved = {"leaves": jax.tree.leaves(state), "losses": losses}
            self._manager.save(len(losses), args=ocp.args.StandardSave(saved))
            self._saved = time.monotonic()
