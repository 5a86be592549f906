"""Where work over shards is done."""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Compute(Protocol):
    """Calls `function` once for every item, possibly elsewhere, and yields results as they come, in any order.

    `function` and its items travel by pickle between processes of this project, so it stands at a module's top level.
    """

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]: ...
