"""Work over shards on a Ray cluster, the twin of `LocalCompute`: the same calls, the same results.

A worker that is preempted or dies takes its shard with it; Ray calls the function again elsewhere, and a shard is put
in place whole, so nothing of a first try remains. What the function raises itself is raised here and not tried again.
"""

import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

TRIES_AGAIN = 10  # of one shard whose worker was lost; preemption is no fault of the shard's
ANSWERS = 5.0
WAITING = 4  # shards handed out for each core of the cluster: none waits for this process, few are in its memory


@dataclass(frozen=True)
class RayCompute:
    """Calls a function for every item on the cluster at `address`, which sees the same storage and packages."""

    address: str
    retries: int = TRIES_AGAIN

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yields results as they come. Raises what `function` raises, and `RuntimeError` where workers keep dying."""
        import ray

        _connect(self.address)
        named: Any = ray.remote(_called).options(name=_name(function), num_cpus=1, max_retries=self.retries)
        call = partial(named.remote, ray.put(function))
        remaining = iter(items)
        room = WAITING * max(1, int(ray.cluster_resources().get("CPU", 1)))  # type: ignore[no-untyped-call]
        running = [call(item) for item in islice(remaining, room)]
        try:
            while running:
                done, running = ray.wait(running, num_returns=1)
                running += [call(item) for item in islice(remaining, 1)]
                yield _result(done[0], self.retries)
        finally:
            for task in running:
                ray.cancel(task, force=True)


def _called(function: Callable[[Item], Result], item: Item) -> Result:
    """Ray takes functions only, and what works on shards may be one with arguments bound to it."""
    return function(item)


def _name(function: Callable[..., Any]) -> str:
    """By which Ray's dashboard and the workers' processes show what is done."""
    return getattr(function.func if isinstance(function, partial) else function, "__name__", type(function).__name__)


def _connect(address: str) -> None:
    import ray

    if ray.is_initialized():
        return
    try:
        _knock(address)
        ray.init(address, log_to_driver=False, configure_logging=False)
    except OSError as error:
        raise ConnectionError(
            f"no Ray cluster answers at {address!r} ({error}); start it, or unset RAY_ADDRESS to work on this machine"
        ) from error


def _knock(address: str) -> None:
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
