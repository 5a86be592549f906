"""What runs inside the worker processes that `compute` and `trainers` start, here or on a cluster.

It stands apart so that a worker imports no Dagster, which would cost each of them 2.4 s and 100 MB.
"""

import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

PR_SET_PDEATHSIG = 1
LOGGER = "datashop"


def end_with(parent: int) -> None:
    """Has the kernel end this process with `parent`: a killed run's workers would go on with what the next run does.

    Linux alone can; elsewhere they end at their next item.
    """
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before it could be asked for
            os._exit(1)


def call(function: Callable[[Item], Result], item: Item) -> Result:
    """Ray takes functions only, and what works on shards may be one with arguments bound to it."""
    return function(item)


class ProgressActor:
    """An actor that collects what workers have done, in steps, and lines for the log."""

    def __init__(self) -> None:
        self.done, self.lines = 0.0, list[str]()

    def add(self, steps: float) -> None:
        self.done += steps

    def say(self, line: str) -> None:
        self.lines.append(line)

    def take(self) -> tuple[float, list[str]]:
        taken = self.done, self.lines
        self.done, self.lines = 0.0, []
        return taken


class ActorHandler(logging.Handler):
    """Sends what a worker logs to a `ProgressActor`: all from the first one, warnings from those that do the same."""

    def __init__(self, progress: Any, rank: int) -> None:
        super().__init__(logging.WARNING if rank else logging.INFO)
        self.progress, self.rank = progress, rank

    def emit(self, record: logging.LogRecord) -> None:
        self.progress.say.remote(f"worker {self.rank}: {record.getMessage()}")


def work(job: Mapping[str, Any]) -> Any:
    """What every worker does. A refusal of the loop is no reason to start again, so it is returned, not raised."""
    import ray.train
    from etils import epath  # type: ignore[import-untyped]

    rank, progress = ray.train.get_context().get_world_rank(), job["progress"]
    logger = logging.getLogger(LOGGER)
    logger.setLevel(logging.INFO)
    logger.addHandler(ActorHandler(progress, rank))

    def advance(steps: float) -> None:
        if rank == 0:
            progress.add.remote(steps)

    try:
        result = job["loop"](**ray.get(job["arguments"]), scratch=epath.Path(job["scratch"]), advance=advance)
        return None if rank else result  # every worker has it, and one of them sends it
    except (ValueError, FloatingPointError) as error:
        return error
