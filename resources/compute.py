"""Where work over shards is done: on this machine, or on a Ray cluster; the same calls, the same results.

Locally a worker process costs 1 to 4 s to start, which a small pool is not worth: shards are done in this process, one
after the other, until what is left would take longer than `worth_it` seconds; then the rest goes to a process a core.
The processes wait for the next step's work, with what they have loaded, until they have had none for `IDLE` seconds.

On a cluster a worker that is preempted or dies takes its shard with it; Ray calls the function again elsewhere, and a
shard is put in place whole, so nothing of a first try remains. What the function raises itself is raised here.
"""

import os
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from itertools import islice
from typing import Any, TypeVar

import dagster as dg
from pydantic import Field

from datashop_assets.machine import cores
from datashop_assets.protocols.compute import Compute
from resources.workers import call, end_with

Item = TypeVar("Item")
Result = TypeVar("Result")

IDLE = 60.0  # seconds; between scoring a pool and writing what is kept lies a join of some seconds a million documents
ANSWERS = 5.0  # seconds for a cluster's address to answer
WAITING = 4  # shards handed out for each core of the cluster: none waits for this process, few are in its memory


class ComputeResource(dg.ConfigurableResource[Compute], ABC):
    """Calls a function for every shard."""

    @abstractmethod
    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yields results as they come, in any order; see `Compute`."""


class LocalCompute(ComputeResource):
    """Works on shards in this process or in processes of this machine, whichever is done sooner."""

    processes: int | None = Field(
        default=None, gt=0, description="Processes that work on shards at once; by default one a core"
    )
    worth_it: float = Field(
        default=20.0, ge=0, description="Seconds of work left from which on processes are started; 0: always"
    )

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yields results as they come. Raises what `function` raises, and `RuntimeError` where a process died."""
        waiting, done = list(items), 0
        started = time.monotonic()
        while done < len(waiting):
            left = len(waiting) - done
            if self.workers > 1 and left > 1 and _expected(started, done, left) >= self.worth_it:
                yield from self._spread(function, waiting[done:])
                return
            yield function(waiting[done])
            done += 1

    @property
    def workers(self) -> int:
        """How many processes there are, at most."""
        return self.processes or cores()

    def _spread(self, function: Callable[[Item], Result], items: list[Item]) -> Iterator[Result]:
        from loky import get_reusable_executor

        # loky starts fresh processes (JAX and polars hold threads that a forked child would wait for), and unlike
        # multiprocessing it does not run the caller's script again in each, so a script needs no __main__ guard
        workers = min(self.workers, len(items))
        pool = get_reusable_executor(workers, timeout=IDLE, initializer=end_with, initargs=(os.getpid(),))
        whole = False
        try:
            for future in as_completed([pool.submit(function, item) for item in items]):
                yield future.result()
            whole = True
        except BrokenProcessPool as error:
            raise RuntimeError(
                f"one of {self.workers} processes died ({error}). If memory ran out, set DATASHOP_PROCESSES "
                f"to less than {self.workers}. Run again: finished shards are kept"
            ) from error
        finally:
            if not whole:  # else what is still under way would go on beside the next run
                pool.shutdown(kill_workers=True)


class RayCompute(ComputeResource):
    """Works on shards on a Ray cluster, which sees the same storage and packages."""

    address: str = Field(description="The cluster's address, such as ray://HOST:10001")
    retries: int = Field(
        default=10,
        ge=0,
        description="Further tries of a shard whose worker was lost, as by preemption",
    )

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yields results as they come. Raises what `function` raises, and `RuntimeError` where workers keep dying."""
        import ray

        _connect(self.address)
        named: Any = ray.remote(call).options(name=_name(function), num_cpus=1, max_retries=self.retries)
        submit = partial(named.remote, ray.put(function))
        remaining = iter(items)
        window = WAITING * max(1, int(ray.cluster_resources().get("CPU", 1)))  # type: ignore[no-untyped-call]
        running = [submit(item) for item in islice(remaining, window)]
        try:
            while running:
                done, running = ray.wait(running, num_returns=1)
                running += [submit(item) for item in islice(remaining, 1)]
                yield _result(done[0], self.retries)
        finally:
            for task in running:
                ray.cancel(task, force=True)


def _expected(started: float, done: int, left: int) -> float:
    """Seconds for what is left, as far as can be told; 0 before anything is done."""
    return (time.monotonic() - started) / done * left if done else 0.0


def _name(function: Callable[..., Any]) -> str:
    """By which Ray's dashboard and the workers' processes show what is done."""
    return getattr(function.func if isinstance(function, partial) else function, "__name__", type(function).__name__)


def _connect(address: str) -> None:
    import ray

    if ray.is_initialized():
        return
    try:
        _probe(address)
        ray.init(address, log_to_driver=False, configure_logging=False)
    except OSError as error:
        raise ConnectionError(
            f"no Ray cluster answers at {address!r} ({error}); start it, or unset RAY_ADDRESS to work on this machine"
        ) from error


def _probe(address: str) -> None:
    """Raises `OSError` within `ANSWERS` seconds where nothing listens: Ray itself waits for more than a minute."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdigit():  # `auto` and `local` name no place
        socket.create_connection((host, int(port)), ANSWERS).close()


def _result(task: Any, retries: int) -> Any:
    """What Ray raises beside the function's own error (worker or machine lost, out of memory) says what helps."""
    import ray
    from ray.exceptions import RayError, RayTaskError

    try:
        return ray.get(task)
    except RayTaskError as error:
        raise error.cause from error
    except RayError as error:
        raise RuntimeError(
            f"a shard was lost with its worker, which is tried {retries + 1} times ({type(error).__name__}: {error}). "
            "If memory ran out, give workers more. Run again: finished shards are kept"
        ) from error
