"""A draw takes the lowest keys, whatever order they come in."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from datashop_assets.statistics.draws import Draw, row_keys, scramble

ITEMS = st.dictionaries(st.integers(0, 2**64 - 1), st.integers(1, 50), max_size=60)


@settings(deadline=None, max_examples=60)
@given(ITEMS, st.integers(1, 500), st.randoms())
def test_a_draw_is_the_fewest_lowest_keys_that_suffice(items: dict[int, int], need: int, random: object) -> None:
    offered = list(items.items())
    random.shuffle(offered)
    draw: Draw[int] = Draw(need)
    for key, size in offered:
        draw.offer(key, size, size)
    wanted, total = [], 0
    for key in sorted(items):
        if total < need:
            wanted.append((key, items[key]))
            total += items[key]
    assert list(draw.keyed()) == wanted
    assert draw.size == total


def test_keys_are_the_same_each_time_and_others_for_another_purpose_or_shard() -> None:
    rows = np.arange(1000)
    keys = row_keys("documents 0", "part-0", rows)
    assert np.array_equal(keys, row_keys("documents 0", "part-0", rows))
    assert not np.isin(row_keys("documents 1", "part-0", rows), keys).any()
    assert not np.isin(row_keys("documents 0", "part-1", rows), keys).any()


def test_the_keys_of_neighbouring_rows_are_spread_evenly() -> None:
    share = (row_keys("stream 0", "part-0", np.arange(100_000)) < np.uint64(0.3 * 2.0**64)).mean()
    assert abs(share - 0.3) < 0.01


def test_scrambling_gives_the_published_values_of_splitmix64() -> None:
    gamma = np.uint64(0x9E3779B97F4A7C15)
    seeds = np.array([1234567], dtype=np.uint64) + gamma * np.arange(3, dtype=np.uint64)
    assert scramble(seeds).tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]
