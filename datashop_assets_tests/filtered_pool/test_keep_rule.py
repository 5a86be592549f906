"""What is kept is exact for any margins, ties, sizes and shards."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datashop_assets.filtered_pool.keep_rule import (
    Decision,
    Ranked,
    RankedPool,
    decide,
    margin_keys,
    margin_of,
)
from datashop_assets.prompts.keep_settings import FractionRule, SizeRule
from datashop_assets.storage.digests import keyed_hash

Documents = list[tuple[float, int]]  # margin and size of each, in pool order

margins = st.sampled_from([-3.5, -0.0, 0.0, 0.1, 2.0, 2.0000000000000004, 700.0]) | st.floats(allow_nan=False)
documents = st.lists(st.tuples(margins, st.integers(0, 9)), max_size=60)
cuts = st.lists(st.integers(0, 60), max_size=4)
shares = st.floats(0.001, 0.999)


def shards_of(pool: Documents, cuts: list[int], same_hash: bool = False) -> RankedPool:
    """The pool as shards that end at `cuts`; a document's hash follows from its place, so shards do not change it."""
    ends = [0, *sorted(min(cut, len(pool)) for cut in cuts), len(pool)]
    hashes = np.array([0 if same_hash else keyed_hash("test", str(n)) % 50 for n in range(len(pool))], np.uint64)

    def shards() -> Iterator[Ranked]:
        for start, end in pairwise(ends):
            part, ties = pool[start:end], hashes[start:end]
            scores = np.array([margin for margin, _ in part], dtype=np.float64)
            sizes = np.array([size for _, size in part], dtype=np.int64)
            yield Ranked(scores, scores, sizes, lambda chosen, ties=ties: ties[chosen])  # type: ignore[misc]

    return shards


def fraction_of(fraction: float) -> FractionRule:
    return FractionRule(fraction=fraction, of="documents")


def kept_of(pool: Documents, rule: SizeRule | float, cuts: list[int], same_hash: bool = False) -> list[bool]:
    flags, _ = decide(rule, shards_of(pool, cuts, same_hash))
    return [bool(flag) for shard in flags for flag in shard]


@settings(deadline=None)
@given(documents, shares, cuts)
def test_a_fraction_of_documents_keeps_exactly_that_many_rounded_down(
    pool: Documents, fraction: float, cuts: list[int]
) -> None:
    ones = [(margin, 1) for margin, _ in pool]
    kept = kept_of(ones, fraction_of(fraction), cuts)
    assert sum(kept) == int(Fraction(repr(fraction)) * len(pool))


@settings(deadline=None)
@given(documents, shares, cuts, st.booleans())
def test_what_is_kept_is_the_longest_beginning_of_the_order_that_fits(
    pool: Documents, fraction: float, cuts: list[int], same_hash: bool
) -> None:
    budget = fraction_of(fraction).allows(sum(size for _, size in pool))
    ties = [0 if same_hash else keyed_hash("test", str(n)) % 50 for n in range(len(pool))]
    order = sorted(range(len(pool)), key=lambda n: (-pool[n][0], ties[n], n))
    expected, used = set(), 0
    for place in order:
        used += pool[place][1]
        if used > budget:
            break
        expected.add(place)
    kept = kept_of(pool, fraction_of(fraction), cuts, same_hash)
    assert {place for place, flag in enumerate(kept) if flag} == expected


@settings(deadline=None)
@given(documents, shares, cuts, cuts)
def test_the_sizes_of_shards_change_nothing(
    pool: Documents, fraction: float, cuts: list[int], others: list[int]
) -> None:
    rule = fraction_of(fraction)
    assert kept_of(pool, rule, cuts) == kept_of(pool, rule, others) == kept_of(pool, rule, [])


@given(documents, st.floats(0, 1))
def test_a_threshold_keeps_every_score_from_it_upward(pool: Documents, threshold: float) -> None:
    kept = kept_of(pool, threshold, [5])
    assert kept == [margin >= threshold for margin, _ in pool]


@given(st.lists(st.floats(allow_nan=False), min_size=2))
def test_keys_stand_in_the_opposite_order_of_margins(values: list[float]) -> None:
    keys = margin_keys(np.array(values))
    for first, second in zip(range(len(values)), range(1, len(values)), strict=False):
        assert (values[first] > values[second]) == bool(keys[first] < keys[second])


@given(st.floats(allow_nan=False))
def test_a_key_gives_back_its_margin(margin: float) -> None:
    [key] = margin_keys(np.array([margin]))
    assert margin_of(int(key)) == margin


def test_a_margin_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="1 margins are not numbers"):
        kept_of([(float("nan"), 1), (1.0, 1)], fraction_of(0.5), [])


def test_a_decimal_fraction_is_taken_as_it_is_written() -> None:
    assert fraction_of(0.29).allows(100) == 29  # 0.29 * 100 is 28.999999999999996 in binary
    assert fraction_of(0.999).allows(1) == 0


def test_ties_at_the_cut_are_counted() -> None:
    _, decision = decide(fraction_of(0.5), shards_of([(1.0, 1)] * 7 + [(2.0, 1)], [3]))
    assert decision == Decision(total=8, budget=4, tied_at_cut=7, cut=1.0)
