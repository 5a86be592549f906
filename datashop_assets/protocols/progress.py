"""How a long stage says how far it is: a bar in the terminal, lines in Dagster's log, nothing in a test."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Bar(Protocol):
    def advance(self, amount: float = 1) -> None:
        """This much was done now."""

    def skip(self, amount: float = 1) -> None:
        """This much was done before: it counts as done and not in the rate."""


class Progress(Protocol):
    def bar(self, name: str, total: float, unit: str) -> AbstractContextManager[Bar]: ...


class SilentBar:
    def advance(self, amount: float = 1) -> None:
        pass

    def skip(self, amount: float = 1) -> None:
        pass


class SilentProgress:
    """Says nothing."""

    @contextmanager
    def bar(self, name: str, total: float, unit: str) -> Iterator[Bar]:
        yield SilentBar()
