"""What answers cost so far, over all runs, and whether more may be asked.

Tokens are counted from the answer store, hours by the clock while asking. The time of runs before stands in a small
file beside the stage, written every ten seconds.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from datashop_assets.answers.store import AnswerStore, from_line
from datashop_assets.protocols.annotator import Answer
from datashop_assets.storage.writing import on_disk

FILE = "spent.json"
EVERY = 10.0  # seconds
HOUR = 3600.0


@dataclass
class Spending:
    """Counts answers as they come. `limits`: tokens, hours, money and price_per_hour, each a number or None."""

    limits: Mapping[str, Any]
    file: Path
    tokens: int = 0
    seconds_before: float = 0.0
    _started: float = field(default_factory=time.monotonic)
    _noted: float = 0.0

    @classmethod
    def so_far(cls, limits: Mapping[str, Any], store: AnswerStore, scratch: Path) -> "Spending":
        """With what the answers in the store have cost, where a budget asks for it."""
        file = scratch / FILE
        before = float(orjson.loads(file.read_bytes())["seconds"]) if file.exists() else 0.0
        tokens = {key: _tokens(from_line(line)) for key, line in store.lines()} if limits.get("tokens") else {}
        return cls(limits, file, sum(tokens.values()), before)

    def watch(self, answer: Answer) -> None:
        self.tokens += _tokens(answer)
        if time.monotonic() - self._noted >= EVERY:
            self.note()

    def note(self) -> None:
        self._noted = time.monotonic()
        with on_disk(self.file) as file:
            file.write(orjson.dumps({"seconds": self.seconds}))

    @property
    def seconds(self) -> float:
        return self.seconds_before + time.monotonic() - self._started

    @property
    def spent(self) -> dict[str, float]:
        hours = self.seconds / HOUR
        return {"tokens": self.tokens, "hours": hours, "money": hours * float(self.limits.get("price_per_hour") or 0)}

    def allows(self) -> bool:
        return not self._reached()

    def stopped(self, unasked: int) -> str:
        """What to say when the budget stopped the asking."""
        self.note()
        spent = "; ".join(
            f"{what}: {self.spent[what]:,.4g} spent of {self.limits[what]:,.4g}" for what in self._reached()
        )
        return (
            f"annotator.budget is reached ({spent}); {unasked} documents are not asked and the stage is not finished. "
            "All answers are kept: raise the budget and run again, which asks only for the rest, or lower "
            "annotator.documents"
        )

    def _reached(self) -> list[str]:
        spent = self.spent
        limits = {what: self.limits.get(what) for what in spent}
        return [what for what, limit in limits.items() if limit is not None and spent[what] >= limit]


def _tokens(answer: Answer) -> int:
    return answer.tokens_in + answer.tokens_out
