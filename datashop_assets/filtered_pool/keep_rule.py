"""Which documents are kept: an exact rule, whatever the scores, their ties and the sizes of shards.

Documents stand in one order: higher margin first, then by the hash of what they are, then by their place in the pool.

- `fraction` keeps the longest beginning of that order whose size, in documents or in tokens, is at most this fraction
  of the whole, rounded down. A budget of tokens keeps the longest beginning that fits it.
- `threshold` keeps every document whose score reaches it. `precision` keeps by the threshold that was certified for it.

The cut is found by radix selection: four passes over the margins, and four over the hashes of those that tie at the
cut, each counting into 65,536 bins. Memory does not grow with the pool.

Implementations and processors differ in the last digits of a margin: float64 sums of fastText's rows in the last of 16,
networks in float32 by some 1e-6. Stock fastText sums in float32: on the 11,709 documents of the embedded pool its
probabilities were up to 1.1e-6 away, its margins up to 7e-6. So documents within 1e-5 of the cut are counted and named:
another machine might decide otherwise.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from datashop_assets.prompts.keep_settings import SizeRule

if TYPE_CHECKING:
    import polars as pl

Keys = NDArray[np.uint64]
Sizes = NDArray[np.int64]
Margins = NDArray[np.float64]
Flags = NDArray[np.bool_]
DIGIT = 16  # bits of a key that one pass looks at
NEAR = 1e-5  # of a margin, or of a score where the rule is a threshold


@dataclass(frozen=True)
class Ranked:
    """What the rule sees of some documents in pool order, and the hashes of those that are asked for."""

    margins: Margins  # [documents]
    scores: NDArray[np.float64]  # [documents]
    sizes: Sizes  # [documents] in the rule's unit
    tie_hashes: Callable[[Flags], Keys]  # of chosen documents: computed only where margins tie


RankedPool = Callable[[], Iterator[Ranked]]  # the whole pool, some documents at a time


@dataclass(frozen=True)
class Cut:
    """Where the order is cut: the keys of the first document left out.

    Documents that tie in margin and hash are kept in pool order while `remaining` lasts.
    """

    margin: int
    tie: int
    remaining: int

    @property
    def keys(self) -> tuple[int, int]:
        """Ascend along the order."""
        return self.margin, self.tie


@dataclass(frozen=True)
class Decision:
    """What a rule comes to on one pool."""

    threshold: float | None = None
    total: int | None = None
    budget: int | None = None
    tied_at_cut: int | None = None
    cut: float | None = None  # the threshold, else the margin of the first document left out

    def near_cut(self, documents: "pl.DataFrame") -> "pl.DataFrame":
        """Those of `documents` (score, margin) within `NEAR` of the cut, the one at the cut among them."""
        import polars as pl

        if self.cut is None:
            return documents.clear()
        by = "margin" if self.threshold is None else "score"
        return documents.filter((pl.col(by) - self.cut).abs() <= NEAR)


def decide(rule: SizeRule | float, pool: RankedPool) -> tuple[Iterator[Flags], Decision]:
    """Which documents are kept, [documents] for each part of the pool, and what the rule comes to.

    `rule` is a rule by size, or the score from which everything is kept.
    """
    if isinstance(rule, float):
        return (part.scores >= rule for part in pool()), Decision(threshold=rule, cut=rule)
    total = total_size(pool)
    budget = rule.allows(total)
    cut = find_cut(pool, budget)
    if cut is None:
        return keep_before(cut, pool), Decision(total=total, budget=budget, tied_at_cut=0)
    tied = sum(int((margin_keys(part.margins) == cut.margin).sum()) for part in pool())
    decision = Decision(total=total, budget=budget, tied_at_cut=tied, cut=margin_of(cut.margin))
    return keep_before(cut, pool), decision


def total_size(pool: RankedPool) -> int:
    return sum(int(part.sizes.sum()) for part in pool())


def find_cut(pool: RankedPool, budget: int) -> Cut | None:
    """The cut that keeps at most `budget` units, as many as fit in order. None where everything fits."""
    found = _radix_cut(lambda: ((margin_keys(part.margins), part.sizes) for part in pool()), budget)
    if found is None:
        return None
    margin, remaining = found

    def tied() -> Iterator[tuple[Keys, Sizes]]:
        for part in pool():
            chosen = margin_keys(part.margins) == margin
            yield part.tie_hashes(chosen), part.sizes[chosen]

    last = _radix_cut(tied, remaining)
    assert last is not None, "the documents that tie at the cut exceed what remains by how the cut was found"
    return Cut(margin, *last)


def keep_before(cut: Cut | None, pool: RankedPool) -> Iterator[Flags]:
    """For every part of the pool in order, which of its documents stand before the cut."""
    remaining = cut.remaining if cut else 0
    for part in pool():
        if cut is None:
            yield np.ones(len(part.margins), dtype=bool)
            continue
        keys = margin_keys(part.margins)
        kept, at_cut = keys < cut.margin, np.flatnonzero(keys == cut.margin)
        ties = part.tie_hashes(keys == cut.margin)
        kept[at_cut[ties < cut.tie]] = True
        for place in at_cut[ties == cut.tie]:
            remaining -= int(part.sizes[place])
            kept[place] = remaining >= 0
        yield kept


def _radix_cut(stream: Callable[[], Iterator[tuple[Keys, Sizes]]], budget: int) -> tuple[int, int] | None:
    """The smallest key with which the sizes of all keys up to it exceed `budget`, and what remains of it.

    None where the whole stream fits.
    """
    prefix, remaining = 0, budget
    for shift in range(64 - DIGIT, -1, -DIGIT):
        sums = np.zeros(1 << DIGIT, dtype=np.int64)
        for keys, sizes in stream():
            inside = keys >> np.uint64(shift) >> np.uint64(DIGIT) == prefix
            digits = (keys[inside] >> np.uint64(shift)) & np.uint64((1 << DIGIT) - 1)
            np.add.at(sums, digits.astype(np.int64), sizes[inside])
        digit = int(np.searchsorted(np.cumsum(sums), remaining, side="right"))
        if digit == len(sums):
            return None
        remaining -= int(sums[:digit].sum())
        prefix = prefix << DIGIT | digit
    return prefix, remaining


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
