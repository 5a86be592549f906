"""`finalscore0-5`: the number after the last `Final score:` of a reply."""

import re
from collections.abc import Sequence

from datashop_assets.protocols.processor import Parsed

HIGHEST = 5
DASHES = "\u2013\u2014-"
# What models put around words. Bounded and possessive (`+` after a quantifier), so that no reply takes long to read.
AROUND = r"[\s*_`~#>\"'\u201c\u201d($\[\]{}]{0,32}+(?:\\(?:boxed|text|mathbf)\{)?+[\s*_`]{0,8}+"
MENTION = re.compile(rf"final{AROUND}score{AROUND}(?:is|of|[:={DASHES}])?+{AROUND}", re.IGNORECASE)
NUMBER = re.compile(
    rf"([+-]?\d{{1,9}}+(?:[.,]\d{{1,9}}+)?+)(?:\s{{0,8}}+(?:/|out\s+of)\s{{0,8}}+(\d{{1,9}}+))?+(?!\s{{0,8}}+[{DASHES}]\s*\d)"
)
WORDS = ("zero", "one", "two", "three", "four", "five")
WORD = re.compile(rf"({'|'.join(WORDS)})\b", re.IGNORECASE)


class FinalScore:
    """A whole number from 0 to 5, as in `Final score: 4`, `**Final score:** 4/5`, `Final score is four`."""

    answers: Sequence[str] = tuple(f"Final score: {score}" for score in range(HIGHEST + 1))
    version = "1"

    def parse(self, reply: str) -> Parsed:
        """The last mention that says a number decides: models reason first, and some correct themselves."""
        mentions = [match.end() for match in MENTION.finditer(reply)]
        numbers = [found for end in mentions if (found := _number(reply, end))]
        if not numbers:
            return Parsed(None, f"{'no number after' if mentions else 'does not say'} 'Final score:'")
        value, of = numbers[-1]
        if of not in (None, HIGHEST):
            return Parsed(None, f"the final score is out of {of}, not of {HIGHEST}")
        if not 0 <= value <= HIGHEST or value != int(value):
            return Parsed(None, f"the final score is {value:g}, not a whole number from 0 to {HIGHEST}")
        return Parsed(value)


def _number(reply: str, start: int) -> tuple[float, int | None] | None:
    """The number at `start`, and out of how many it is where that is said."""
    if match := NUMBER.match(reply, start):
        return float(match[1].replace(",", ".")), int(match[2]) if match[2] else None
    word = WORD.match(reply, start)
    return (float(WORDS.index(word[1].lower())), None) if word else None
