"""Checkpoints that a run writes and resumes from, and the models that it exports.

They are written by orbax, whole or not at all, the newest ones kept. They live in a step's scratch folder, which
outlives a killed process, or in a folder or bucket that outlives the machine and that a cluster's workers all see. A
resumed run takes the same steps to the bit. A checkpoint holds whole arrays, so that it can be read onto another mesh
than the one that wrote it.
"""

import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import jax
import numpy as np
import orbax.checkpoint as ocp
from tokenizers import Tokenizer

from datashop_assets.models.llama.model import Llama
from datashop_assets.models.llama.weights import save_folder
from datashop_assets.protocols.trainer import Checkpointing
from datashop_assets.storage.stage_writer import StageWriter
from datashop_assets.trained_lm.results import SEED

SECONDS = 10.0  # between two checkpoints, and
SPARED = 20  # times as long as the last one took: at most a twentieth of a run is spent on them

# Orbax numbers saves by one counter of the process, and a save whose number another one takes waits until it gives up.
# Seeds train side by side, so they begin to save one after the other. An asynchronous save goes on beside the others'.
BEGINNING = threading.Lock()

History = np.ndarray  # [steps taken, 2] float32: loss in nats a token, and seconds that the step took


class Checkpoints:
    """The checkpoints of one seed. Saves when the policy says, and always when the run is at its end."""

    def __init__(self, folder: Path, policy: Checkpointing) -> None:
        self._seconds = policy.seconds
        self._next = time.monotonic() + (SECONDS if policy.seconds is None else policy.seconds)
        self._folder = folder if "://" in str(folder) else Path(folder).absolute()  # orbax wants a whole path or a URI
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
        """Where the newest whole checkpoint is, in words. Waits for one that is being written."""
        failed = ""
        try:
            self._manager.wait_until_finished()
        except Exception as error:  # noqa: BLE001 - any store's own, and orbax raises it once
            failed = f"; the one after it could not be written: {error}"
        self._manager.reload()
        step = self._manager.latest_step()
        if step is None:
            return f"there is no checkpoint yet{failed}"
        return f"the last good checkpoint is {self._folder / str(step)}{failed}"

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
        begun = time.monotonic()
        if last or _agreed(begun >= self._next):
            saved = {"leaves": jax.tree.leaves(state), "history": history}
            self._manager.wait_until_finished()
            with BEGINNING:
                self._manager.save(len(history), args=ocp.args.StandardSave(saved))
            now = time.monotonic()
            self._next = now + (max(SECONDS, SPARED * (now - begun)) if self._seconds is None else self._seconds)


def _agreed(due: bool) -> bool:
    """What the first process says, for all: they write a checkpoint together, and each has a clock of its own."""
    if jax.process_count() == 1:
        return due
    from jax.experimental import multihost_utils

    return bool(multihost_utils.broadcast_one_to_all(np.bool_(due)))


def export(output: StageWriter, seed: int, model: Llama, tokenizer: Tokenizer, separator: str) -> None:
    """Puts a model into the step's output, as a folder that Hugging Face tools open.

    The separator stands at the begin of texts, and so at their end.
    """
    folder = output.scratch / "export" / f"{SEED}{seed}"
    save_folder(model, folder, tokenizer, {"bos_token": separator, "eos_token": separator})
    for path in sorted(folder.iterdir()):
        output.put_file(f"{SEED}{seed}/{path.name}", path)
