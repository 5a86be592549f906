"""How much of a document the model takes: cut by characters as the question says, then by tokens to its context."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from datashop_assets.excerpts import excerpt
from datashop_assets.protocols.annotator import Reading
from resources.annotator.endpoints.marks import without_marks

SLACK = 16  # tokens that template and document may gain where they meet
SHRINK = 0.97  # below the estimate, so that two rounds are mostly enough
CHARACTERS_A_TOKEN = 3.0  # of long texts, where the server cannot count: it says so itself where this is too many
LEAST = 16  # characters

Count = Callable[[str], Awaitable[int]]


@dataclass(frozen=True)
class Cutter:
    """`room`: tokens that the model takes for a document. `count`: the server's own count; None where it has none."""

    room: int
    count: Count | None

    async def cut(self, text: str, reading: Reading) -> tuple[str, bool, int]:
        """What to send, whether it is less than the whole, and the characters that were allowed."""
        characters = reading.characters
        if self.count is None:
            characters = min(characters, int(self.room * CHARACTERS_A_TOKEN))
            return *excerpted(text, characters, reading), characters
        while True:
            shown, cut = excerpted(text, characters, reading)
            # no token is shorter than a byte, so that most documents need no counting
            fits = len(shown.encode()) <= self.room or (tokens := await self.count(shown)) <= self.room
            if fits or characters <= LEAST:
                return shown, cut, characters
            characters = max(LEAST, int(min(characters, len(text)) * SHRINK * self.room / tokens))


def excerpted(text: str, characters: int, reading: Reading) -> tuple[str, bool]:
    """The excerpt of at most `characters`, with no template's mark in it.

    Raises `UnicodeEncodeError` for what UTF-8 cannot hold.
    """
    shown, cut = excerpt(text, characters, reading.part)
    shown.encode()
    return without_marks(shown), cut
