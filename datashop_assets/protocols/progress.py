"""How a long stage says how far it is: a bar in the terminal, lines in Dagster's log, nothing in a test."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Bar(Protocol):
    def advance(self, amount: float = 1) -> None: ...


class Progress(Protocol):
    def bar(self, name: str, total: float, unit: str) -> AbstractContextManager[Bar]: ...


class _Silent:
    def advance(self, amount: float = 1) -> None:
        pass


class SilentProgress:
    """Says nothing."""

    @contextmanager
    def bar(self, name: str, total: float, unit: str) -> Iterator[Bar]:
        yield _Silent()
