"""Checkpoints of a training run, written by orbax: whole or not at all, the newest ones kept.

They live in a stage's scratch folder, which outlives a killed process, or where a cluster's workers all see them. A
resumed run takes the same steps to the bit. A checkpoint holds whole arrays, so that it can be read onto another mesh
than the one that wrote it.
"""

import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import jax
import numpy as np
import orbax.checkpoint as ocp

from datashop_assets.protocols.trainer import Checkpointing

History = np.ndarray  # [steps taken, 2] float32: loss in nats a token, and seconds that the step took


class Checkpoints:
    """The checkpoints of one seed. Saves at most every `seconds`, and always when the run is at its end."""

    def __init__(self, folder: Path, policy: Checkpointing, seconds: float) -> None:
        self._seconds = seconds if policy.seconds is None else policy.seconds
        self._saved = time.monotonic()
        self._folder = folder.absolute() if isinstance(folder, Path) else folder  # orbax wants a whole path or a URI
        options = ocp.CheckpointManagerOptions(max_to_keep=policy.keep, enable_async_checkpointing=policy.asynchronous)
        self._manager = ocp.CheckpointManager(self._folder, options=options)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._manager.close()  # waits for what is still being written

    @property
    def last(self) -> str:
        """Where the newest whole checkpoint is, in words."""
        step = self._manager.latest_step()
        return (
            "there is no checkpoint yet" if step is None else f"the last good checkpoint is {self._folder / str(step)}"
        )

    def restore(self, fresh: Any) -> tuple[Any, History]:
        """The state, lying on devices as `fresh` does, and its history; `fresh` and none where nothing was saved."""
        if (latest := self._manager.latest_step()) is None:
            return fresh, np.empty((0, 2), dtype=np.float32)
        leaves, shape = jax.tree.flatten(fresh)
        saved = self._manager.restore(
            latest, args=ocp.args.StandardRestore({"leaves": leaves, "history": np.zeros((latest, 2), np.float32)})
        )
        return jax.tree.unflatten(shape, saved["leaves"]), saved["history"]

    def save(self, state: Any, history: History, *, last: bool) -> None:
        if last or time.monotonic() - self._saved >= self._seconds:
            saved = {"leaves": jax.tree.leaves(state), "history": history}
            self._manager.save(len(history), args=ocp.args.StandardSave(saved))
            self._saved = time.monotonic()
