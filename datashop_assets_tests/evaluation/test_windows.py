"""Documents cut and packed so that every token is predicted once."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from datashop_assets.evaluation.bits import PADDING, windows_of

END = 0
DOCUMENTS = st.lists(st.lists(st.integers(1, 99), max_size=50), min_size=1, max_size=20)


@settings(deadline=None, max_examples=100)
@given(DOCUMENTS, st.integers(2, 16), st.integers(1, 4))
def test_every_token_is_predicted_once_from_the_one_before_it(
    documents: list[list[int]], length: int, multiple: int
) -> None:
    windows = windows_of([np.array(tokens, dtype=np.int32) for tokens in documents], length, END, multiple)
    assert len(windows.tokens) % multiple == 0
    counted = windows.owners != PADDING
    found = sorted(zip(windows.owners[counted], windows.tokens[counted], windows.targets[counted], strict=True))
    wanted = [
        (index, before, token)
        for index, tokens in enumerate(documents)
        for before, token in zip([END, *tokens], tokens, strict=False)
    ]
    assert found == sorted(wanted)


@settings(deadline=None, max_examples=100)
@given(DOCUMENTS, st.integers(2, 16))
def test_a_segment_is_one_window_that_counts_from_zero(documents: list[list[int]], length: int) -> None:
    windows = windows_of([np.array(tokens, dtype=np.int32) for tokens in documents], length, END, 1)
    for segments, positions, owners in zip(windows.segments, windows.positions, windows.owners, strict=True):
        for segment in set(segments[owners != PADDING].tolist()):
            inside = segments == segment
            assert len(set(owners[inside].tolist())) == 1
            assert positions[inside].tolist() == list(range(inside.sum()))


def test_short_documents_fill_what_long_ones_leave() -> None:
    random = np.random.default_rng(0)
    documents = [np.ones(size, dtype=np.int32) for size in random.integers(1, 400, 500)]
    windows = windows_of(documents, 128, END, 1)
    assert (windows.owners != PADDING).mean() > 0.9
