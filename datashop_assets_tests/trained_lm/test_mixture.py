"""The data plan: shared rows, packed documents, epochs."""

from itertools import islice

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from datashop_assets.trained_lm.mixture import Rows, cut_into_rows, epochs_of, mixed
from datashop_assets.training_documents.settings import TrainingSettings
from datashop_assets.training_documents.tokens import TokenizedDocument

END = 0
DOCUMENTS = st.lists(st.lists(st.integers(1, 99), min_size=1, max_size=30), min_size=1, max_size=20)


def run_of(steps: int, batch: int, share: float) -> TrainingSettings:
    return TrainingSettings(1, 8, batch, steps, 1, 0.01, 0.1, share)


def keyed(documents: list[list[int]]) -> list[tuple[int, TokenizedDocument]]:
    return [
        (key, TokenizedDocument(f"d{key}", "web", 4 * len(tokens), np.array(tokens, dtype=np.int32)))
        for key, tokens in enumerate(documents)
    ]


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 400), st.integers(1, 16), st.floats(0.01, 0.99))
def test_the_share_of_own_rows_is_exact_and_even(steps: int, batch: int, share: float) -> None:
    mine = run_of(steps, batch, share).own_rows
    assert mine.sum() == round(steps * batch * share)
    so_far = np.cumsum(mine) - np.arange(1, len(mine) + 1) * mine.mean()
    assert np.abs(so_far).max() <= 1


def test_of_the_demo_exactly_seventy_in_a_hundred_rows_are_shared() -> None:
    assert (~run_of(300, 8, 0.3).own_rows).sum() == 1680


@settings(deadline=None, max_examples=60)
@given(DOCUMENTS, st.integers(2, 12))
def test_packed_rows_predict_every_token_once(documents: list[list[int]], length: int) -> None:
    stream = [token for document in documents for token in (END, *document)]
    rows = (len(stream) - 1) // length
    packed = cut_into_rows([piece for _, piece in keyed(documents)], rows, length, END).tokens
    assert packed[:, 1:].ravel().tolist() == stream[1 : rows * length + 1]
    assert packed[1:, 0].tolist() == packed[:-1, -1].tolist()


@settings(deadline=None, max_examples=60)
@given(DOCUMENTS, st.integers(2, 12))
def test_a_row_names_the_documents_whose_tokens_it_holds(documents: list[list[int]], length: int) -> None:
    owners = [f"d{number}" for number, document in enumerate(documents) for _ in (END, *document)]
    rows = (len(owners) - 1) // length
    packed = cut_into_rows([piece for _, piece in keyed(documents)], rows, length, END)
    for row in range(rows):
        held = owners[row * length : row * length + length + 1]
        assert packed.ids_of(row) == list(dict.fromkeys(held))


def test_a_document_begins_a_segment_and_counts_from_zero() -> None:
    tokens = np.array([[END, 5, 6, END, 7, 8], [8, 9, END, 3, END, 4]])
    read, segments, positions = Rows(tokens, END, [], np.zeros(2), np.zeros(2)).laid_out(slice(0, 2))
    assert read.tolist() == tokens.tolist()
    assert segments.tolist() == [[1, 1, 1, 2, 2], [1, 1, 2, 2, 3]]
    assert positions.tolist() == [[0, 1, 2, 0, 1], [0, 1, 0, 1, 0]]


def test_a_short_stream_is_gone_through_again_in_another_order() -> None:
    documents = keyed([[token] for token in range(1, 41)])
    first, second = (list(islice(epochs_of(documents), 80))[part] for part in (slice(0, 40), slice(40, 80)))
    assert [int(piece.tokens[0]) for piece in first] == list(range(1, 41))
    assert sorted(int(piece.tokens[0]) for piece in second) == list(range(1, 41))
    assert [int(piece.tokens[0]) for piece in second] != list(range(1, 41))


def test_two_models_have_the_shared_rows_at_the_same_places() -> None:
    mine = run_of(10, 4, 0.3).own_rows
    shared = keyed([[1] * 7] * 5)
    control, candidate = (mixed(shared, keyed([[token] * 5]), mine, 8, END).tokens for token in (2, 3))
    assert np.array_equal(control[~mine], candidate[~mine])
    assert not np.isin(control[mine], 3).any()
    assert not np.isin(candidate[mine], 2).any()
