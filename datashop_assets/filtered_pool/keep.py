"""Which documents are kept: an exact rule, whatever the scores, their ties and the sizes of shards.

Documents stand in one order: higher margin first, then by the hash of what they are, then by their place in the pool.
The rule keeps the longest beginning of it whose size (documents or tokens) is at most the fraction of the whole,
rounded down, or a budget; or every document from a score upward. The cut is found by radix selection: four passes over
the margins, and four over the hashes of those that tie at the cut, each counting into 65,536 bins. Memory does not grow
with the pool.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]
Sizes = NDArray[np.int64]
Margins = NDArray[np.float64]
DIGIT = 16
Stream = Callable[[], Iterator[tuple[Keys, Sizes]]]


@dataclass(frozen=True)
class Shard:
    """What the rule sees of a shard: margins and scores [documents], sizes in the rule's unit, hashes when asked."""

    margins: Margins
    scores: NDArray[np.float64]
    sizes: Sizes
    ties: Callable[[NDArray[np.bool_]], Keys]  # hashes of the chosen documents: computed only where margins tie


Shards = Callable[[], Iterator[Shard]]


@dataclass(frozen=True)
class Cut:
    """Where the order is cut. Documents that tie in margin and hash are kept in pool order while `room` lasts."""

    margin: int
    tie: int
    room: int


def find_cut(shards: Shards, budget: int) -> Cut | None:
    """The cut that keeps at most `budget` units, as many as fit in order. None where everything fits."""
    found = radix_cut(lambda: ((margin_keys(shard.margins), shard.sizes) for shard in shards()), budget)
    if found is None:
        return None
    margin, room = found

    def tied() -> Iterator[tuple[Keys, Sizes]]:
        for shard in shards():
            chosen = margin_keys(shard.margins) == margin
            yield shard.ties(chosen), shard.sizes[chosen]

    last = radix_cut(tied, room)
    assert last is not None, "the documents that tie at the cut exceed the room by how the cut was found"
    return Cut(margin, *last)


def radix_cut(stream: Stream, budget: int) -> tuple[int, int] | None:
    """The smallest key with which the sizes of all keys up to it exceed `budget`, and the room that is left for it.

    None where the whole stream fits.
    """
    prefix, room = 0, budget
    for shift in range(64 - DIGIT, -1, -DIGIT):
        sums = np.zeros(1 << DIGIT, dtype=np.int64)
        for keys, sizes in stream():
            inside = keys >> np.uint64(shift) >> np.uint64(DIGIT) == prefix
            digits = (keys[inside] >> np.uint64(shift)) & np.uint64((1 << DIGIT) - 1)
            np.add.at(sums, digits.astype(np.int64), sizes[inside])
        digit = int(np.searchsorted(np.cumsum(sums), room, side="right"))
        if digit == len(sums):
            return None
        room -= int(sums[:digit].sum())
        prefix = prefix << DIGIT | digit
    return prefix, room


def margin_keys(margins: Margins) -> Keys:
    """Unsigned integers in the opposite order of the margins. Raises `ValueError` for a margin that is not a number."""
    if np.isnan(margins).any():
        raise ValueError(f"{int(np.isnan(margins).sum())} margins are not numbers: score the pool again")
    bits = (margins + 0.0).view(np.uint64)  # + 0.0: both zeros are one margin
    ascending = np.where(bits >> np.uint64(63), ~bits, bits | np.uint64(1 << 63))
    return ~ascending


def margin_of(key: int) -> float:
    """The margin whose key it is: `margin_keys` backwards."""
    ascending = np.array(~np.uint64(key))
    bits = np.where(ascending >> np.uint64(63), ascending ^ np.uint64(1 << 63), ~ascending)
    return float(bits.view(np.float64))


def keep_before(cut: Cut | None, shards: Shards) -> Iterator[NDArray[np.bool_]]:
    """For every shard in order, which of its documents are kept."""
    room = cut.room if cut else 0
    for shard in shards():
        if cut is None:
            yield np.ones(len(shard.margins), dtype=bool)
            continue
        keys = margin_keys(shard.margins)
        kept, at_cut = keys < cut.margin, np.flatnonzero(keys == cut.margin)
        ties = shard.ties(keys == cut.margin)
        kept[at_cut[ties < cut.tie]] = True
        for place in at_cut[ties == cut.tie]:
            room -= int(shard.sizes[place])
            kept[place] = room >= 0
        yield kept


def budget_of(fraction: float, total: int) -> int:
    """`fraction` of `total`, rounded down; as written in decimal, so that 0.29 of 100 is 29."""
    return int(Fraction(repr(fraction)) * total)


def decide(rule: Mapping[str, Any], shards: Shards) -> tuple[Iterator[NDArray[np.bool_]], dict[str, Any]]:
    """Kept flags by shard, and the rule with its counts and its cut as JSON values.

    The cut is a score where the rule is a threshold, else the margin of the first document that is left out.
    """
    if "threshold" in rule:
        return (shard.scores >= rule["threshold"] for shard in shards()), {"rule": dict(rule), "cut": rule["threshold"]}
    total = sum(int(shard.sizes.sum()) for shard in shards())
    budget = min(rule["budget"], total) if "budget" in rule else budget_of(rule["fraction"], total)
    cut = find_cut(shards, budget)
    tied = sum(int((margin_keys(shard.margins) == cut.margin).sum()) for shard in shards()) if cut else 0
    counts = {"total": total, "budget": budget, "tied_at_cut": tied, "cut": margin_of(cut.margin) if cut else None}
    return keep_before(cut, shards), {"rule": dict(rule), **counts}
