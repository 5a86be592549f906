"""Work over shards on this machine.

A worker process costs 1 to 4 s to start, which a small pool is not worth: shards are done in this process, one after
the other, until what is left would take longer than `WORTH_IT` seconds; then the rest goes to a process a core.
"""

import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

WORTH_IT = 20.0  # seconds of work left


def default_processes() -> int:
    """What `DATASHOP_PROCESSES` says, else one a core that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return int(os.environ.get("DATASHOP_PROCESSES") or cores)


@dataclass(frozen=True)
class LocalCompute:
    """Calls a function for every item here or in processes of this machine, whichever is done sooner."""

    processes: int = field(default_factory=default_processes)
    worth_it: float = WORTH_IT

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yields results as they come. Raises what `function` raises, and `RuntimeError` where a process died."""
        waiting, done = list(items), 0
        started = time.monotonic()
        while done < len(waiting):
            left = len(waiting) - done
            if self.processes > 1 and done and left > 1 and _expected(started, done, left) > self.worth_it:
                yield from self._spread(function, waiting[done:])
                return
            yield function(waiting[done])
            done += 1

    def _spread(self, function: Callable[[Item], Result], items: list[Item]) -> Iterator[Result]:
        # spawned, not forked: JAX and polars hold threads that a forked child would wait for
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(min(self.processes, len(items)), mp_context=context) as pool:
            futures = [pool.submit(function, item) for item in items]
            try:
                for future in as_completed(futures):
                    yield future.result()
            except BrokenProcessPool as error:
                raise RuntimeError(
                    f"a process of {self.processes} died, most likely for want of memory; "
                    f"set DATASHOP_PROCESSES to less than {self.processes} and run again: finished shards are kept"
                ) from error
            finally:
                pool.shutdown(cancel_futures=True)


def _expected(started: float, done: int, left: int) -> float:
    return (time.monotonic() - started) / done * left
