"""Work over shards on this machine.

A worker process costs 1 to 4 s to start, which a small pool is not worth: shards are done in this process, one after
the other, until what is left would take longer than `WORTH_IT` seconds; then the rest goes to a process a core. The
processes wait for the next stage's work, with what they have loaded, until they have had none for `IDLE` seconds.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import TypeVar

from loky import get_reusable_executor

from datashop_assets.machine import cores
from datashop_assets.protocols.compute import Compute

Item = TypeVar("Item")
Result = TypeVar("Result")

WORTH_IT = 20.0  # seconds of work left
IDLE = 60.0  # seconds; between scoring a pool and writing what is kept lies a join of some seconds a million documents
PR_SET_PDEATHSIG = 1


def default_processes() -> int:
    """What `DATASHOP_PROCESSES` says, else one a core that this process may use."""
    return int(os.environ.get("DATASHOP_PROCESSES") or cores())


@dataclass(frozen=True)
class LocalCompute:
    """Calls a function for every item here or in processes of this machine, whichever is done sooner."""

    processes: int = field(default_factory=default_processes)
    worth_it: float = WORTH_IT  # 0: in processes from the first item

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yields results as they come. Raises what `function` raises, and `RuntimeError` where a process died."""
        waiting, done = list(items), 0
        started = time.monotonic()
        while done < len(waiting):
            left = len(waiting) - done
            if self.processes > 1 and left > 1 and _expected(started, done, left) >= self.worth_it:
                yield from self._spread(function, waiting[done:])
                return
            yield function(waiting[done])
            done += 1

    def _spread(self, function: Callable[[Item], Result], items: list[Item]) -> Iterator[Result]:
        # loky starts fresh processes (JAX and polars hold threads that a forked child would wait for), and unlike
        # multiprocessing it does not run the caller's script again in each, so a script needs no __main__ guard
        workers = min(self.processes, len(items))
        pool = get_reusable_executor(workers, timeout=IDLE, initializer=end_with, initargs=(os.getpid(),))
        whole = False
        try:
            for future in as_completed([pool.submit(function, item) for item in items]):
                yield future.result()
            whole = True
        except BrokenProcessPool as error:
            raise RuntimeError(
                f"one of {self.processes} processes died ({error}). If memory ran out, set DATASHOP_PROCESSES "
                f"to less than {self.processes}. Run again: finished shards are kept"
            ) from error
        finally:
            if not whole:  # else what is still under way would go on beside the next run
                pool.shutdown(kill_workers=True)


def end_with(parent: int) -> None:
    """Has the kernel end this process with `parent`: a killed run's workers would go on with what the next run does.

    Linux alone can; elsewhere they end at their next item.
    """
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before it could be asked for
            os._exit(1)


def _expected(started: float, done: int, left: int) -> float:
    """Seconds for what is left, as far as can be told; 0 before anything is done."""
    return (time.monotonic() - started) / done * left if done else 0.0


def default_compute() -> Compute:
    """The Ray cluster that `RAY_ADDRESS` names, else this machine."""
    if address := os.environ.get("RAY_ADDRESS"):
        from resources.ray_compute import RayCompute

        return RayCompute(address)
    return LocalCompute()
