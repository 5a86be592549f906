"""How a written reply becomes a score: what a prompt file's `processor` names."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Parsed:
    """A score between 0 and 5, or None with the reason why the reply holds none."""

    score: float | None
    reason: str = ""


class Processor(Protocol):
    """Reads one reply. The same reply always gives the same score; it is called in any order and more than once.

    A reply is what the model said after its thinking and up to the end of its turn.

    A class of your own is named `package.module:Class` and is called with the prompt file's `processor.options` as
    keyword arguments. A class attribute `version` (text) says which version it is; without one, the source of its
    module does.
    """

    @property
    def answers(self) -> Sequence[str]:
        """What a second try may answer with, each of which `parse` must read; empty for no second try."""

    def parse(self, reply: str) -> Parsed: ...


@runtime_checkable
class ClaimsReader(Protocol):
    """A processor that can tell when a document holds what reads like a verdict; without this, none is looked for."""

    def claims(self, document: str) -> Sequence[float | None]:
        """The scores of what reads like a verdict in the document; None for one that would give no score."""
