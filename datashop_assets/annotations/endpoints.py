"""What each endpoint answered, and whether endpoints differ: the same model served alike gives the same mean score.

A document goes to whichever endpoint is free, so that its endpoint says nothing about it, with one exception: an
endpoint may have been there in one round alone, and the second round is drawn where scores are high. So means are
compared within each round and stratum, and the differences are averaged (Mantel-Haenszel weights).

A server may cut what it is sent and not say so (Ollama to 4,096 tokens, unless it is asked for more). Then documents of
very different length have exactly as many tokens, the most that the server reports of any.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from datashop_assets.annotations.results import EndpointSummary
from datashop_assets.asking.usage import size_of
from datashop_assets.statistics.comparison import holm
from datashop_assets.statistics.figure import Figure
from datashop_assets.statistics.intervals import Z

FEWEST = 30  # documents with a score at an endpoint, and at the others: with 20, 3 of 100 equal fleets seemed to differ
ROUNDING = 1 / 12  # the variance that rounding to whole scores has: equal scores of a few documents are no certainty
FEWEST_AT_CEILING = 5  # documents of exactly the same, largest number of tokens
LONGER = 1.2  # the longest of these in bytes, over the shortest: texts that are cut alike by characters differ by less
LEAST_CEILING = 256  # tokens: shorter prompts may have equal numbers by chance
Cell = tuple[int, int]  # round, stratum


@dataclass
class Moments:
    """Number, mean and variance of scores, one added after the other (Welford, 1962)."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0  # of distances from the mean, summed

    def add(self, score: float) -> None:
        self.count += 1
        distance = score - self.mean
        self.mean += distance / self.count
        self.squares += distance * (score - self.mean)

    def plus(self, other: "Moments") -> "Moments":
        count = self.count + other.count
        if not count:
            return Moments()
        distance = other.mean - self.mean
        return Moments(
            count,
            self.mean + distance * other.count / count,
            self.squares + other.squares + distance**2 * self.count * other.count / count,
        )

    @property
    def error(self) -> float:
        """The variance of the mean."""
        return max(self.squares / (self.count - 1) if self.count > 1 else 0.0, ROUNDING) / self.count


@dataclass
class EndpointTally:
    """Counts rows by the address that answered. Memory holds a few numbers for each address, round and stratum."""

    _statuses: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    _otherwise: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _cells: defaultdict[str, dict[Cell, Moments]] = field(default_factory=lambda: defaultdict(dict))

    def add(self, row: Mapping[str, Any]) -> None:
        """Counts a row of `rows.SCHEMA`. One that no endpoint answered is not counted."""
        if not (address := (row["endpoint"] or "").partition(" ")[0]):
            return
        self._statuses[address][row["status"]] += 1
        if otherwise := row.get("otherwise"):
            self._otherwise[address].add(otherwise)
        if (score := row["expected_score"]) is not None:
            cell = row["round"], row["stratum"]
            self._cells[address].setdefault(cell, Moments()).add(score)

    def summaries(self) -> list[EndpointSummary]:
        """One for each address, in their order."""
        addresses = sorted(self._statuses)
        differences = {address: self._difference(address) for address in addresses}
        compared = [address for address in addresses if differences[address] is not None]
        p_values = dict(zip(compared, holm([_p_value(differences[one]) for one in compared]), strict=True))
        return [
            EndpointSummary(
                address=address,
                by_status=dict(sorted(self._statuses[address].items())),
                mean_score=_mean(self._cells[address]),
                difference=differences[address],
                p_value=p_values.get(address),
                otherwise=sorted(self._otherwise[address]),
            )
            for address in addresses
        ]

    def _difference(self, address: str) -> Figure | None:
        """The mean of an address less that of all others; None where too few documents can be compared."""
        weighted, variance, weights, own, others = 0.0, 0.0, 0.0, 0, 0
        for cell, here in self._cells[address].items():
            there = Moments()
            for other, cells in self._cells.items():
                if other != address:
                    there = there.plus(cells.get(cell, Moments()))
            if not there.count:
                continue
            weight = here.count * there.count / (here.count + there.count)
            weighted += weight * (here.mean - there.mean)
            variance += weight**2 * (here.error + there.error)
            weights += weight
            own, others = own + here.count, others + there.count
        if min(own, others) < FEWEST:
            return None
        value, reach = weighted / weights, Z * math.sqrt(variance) / weights
        return Figure(
            value=round(value, 4), low=round(value - reach, 4), high=round(value + reach, 4), n=own, unit="documents"
        )


@dataclass
class ReadingTally:
    """Looks for an endpoint that reads no more than so many tokens of a prompt, whatever it is sent.

    Memory holds a few numbers for each address.
    """

    _at_most: dict[str, "_AtMost"] = field(default_factory=dict)

    def add(self, row: Mapping[str, Any]) -> None:
        """Counts a row of `rows.SCHEMA` that an address answered with one try."""
        address = (row["endpoint"] or "").partition(" ")[0]
        if "://" not in address or row["raw_repair"] is not None:
            return
        most, size = self._at_most.get(address), size_of(row["text"])
        if most is None or row["tokens_in"] > most.tokens:
            self._at_most[address] = _AtMost(row["tokens_in"], 1, size, size)
        elif row["tokens_in"] == most.tokens:
            most.documents += 1
            most.shortest, most.longest = min(most.shortest, size), max(most.longest, size)

    @property
    def ceiling(self) -> int | None:
        """The fewest tokens at which an endpoint cuts; None where none seems to."""
        return min((most.tokens for most in self._at_most.values() if most.is_ceiling), default=None)


@dataclass
class _AtMost:
    """The documents of the largest number of tokens. Sizes are of the texts that were sent, in bytes."""

    tokens: int
    documents: int
    shortest: int
    longest: int

    @property
    def is_ceiling(self) -> bool:
        alike = self.longest <= LONGER * self.shortest
        return self.tokens >= LEAST_CEILING and self.documents >= FEWEST_AT_CEILING and not alike


def _mean(cells: Mapping[Cell, Moments]) -> Figure | None:
    scores = Moments()
    for cell in cells.values():
        scores = scores.plus(cell)
    if not scores.count:
        return None
    reach = Z * math.sqrt(scores.error)
    low, high = max(0.0, scores.mean - reach), min(5.0, scores.mean + reach)
    return Figure(value=round(scores.mean, 4), low=round(low, 4), high=round(high, 4), n=scores.count, unit="documents")


def _p_value(difference: Figure | None) -> float:
    """Two-sided, of a normal distribution."""
    if difference is None or difference.low is None or difference.high is None:
        return 1.0
    error = (difference.high - difference.low) / (2 * Z)
    return math.erfc(abs(difference.value) / error / math.sqrt(2))
