"""`medu`: the last of the words Great, Good, Okay, Poor and Useless in a reply, as 5 to 1."""

import re
from collections.abc import Sequence

from datashop_assets.protocols.processor import Parsed

SCORES = {"great": 5, "good": 4, "okay": 3, "poor": 2, "useless": 1}
LABEL = re.compile(r"(?<![a-z])(great|good|okay|ok|poor|useless)(?![a-z])", re.IGNORECASE)
NAMED = re.compile(
    r"(?:final\s+)?(?:label|score|rating|answer|judge?ment|verdict)[\s*_`\"'“:=]*(?:is)?[\s*_`\"'“:=]*$", re.I
)


class Medu:
    """A word as the MEDU prompt asks for it: alone, in marks, or after `Label:`; that one counts before any other."""

    answers: Sequence[str] = tuple(word.capitalize() for word in SCORES)
    version = "1"

    def parse(self, reply: str) -> Parsed:
        """The last word that follows `label`, `score` or the like; where none does, the last word in the reply."""
        found = list(LABEL.finditer(reply))
        if not found:
            return Parsed(None, "holds none of Great, Good, Okay, Poor, Useless")
        named = [match for match in found if NAMED.search(reply[max(0, match.start() - 40) : match.start()])]
        word = (named or found)[-1][1].lower()
        return Parsed(SCORES["okay" if word == "ok" else word])
