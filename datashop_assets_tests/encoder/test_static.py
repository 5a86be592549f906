"""The static kind: its words are weighed as scikit-learn weighs them, and tell apart what the mean vector blurs."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.feature_extraction.text import TfidfTransformer

from datashop_assets.data_packages import installed_data
from datashop_assets.encoder_kinds.kinds import pretrained_folder
from datashop_assets.encoder_kinds.static import (
    FEWEST_DOCUMENTS,
    WORD_LENGTH,
    StaticEncoder,
    StaticKind,
    VectorEncoder,
    rarity_of,
    word_features,
)
from datashop_assets.prompts.encoder_settings import MINILM
from datashop_assets.protocols.encoder import Labelled

PRESENCE = st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=2, max_size=12)


@pytest.fixture(scope="module")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pretrained_folder(MINILM, tmp_path_factory.mktemp("cache"), installed_data())


def tokens_of(rows: list[list[bool]]) -> sparse.csr_array:
    return sparse.csr_array(np.array(rows, dtype=np.float32))


@given(PRESENCE)
def test_words_are_weighed_as_scikit_learn_weighs_those_of_two_documents_or_more(rows: list[list[bool]]) -> None:
    tokens = tokens_of(rows)
    rarity = rarity_of(tokens)
    learnt = np.array(rows).sum(0) >= FEWEST_DOCUMENTS
    assert (rarity[~learnt] == 0).all()
    if not learnt.any():
        return
    reference = TfidfTransformer(norm="l2", smooth_idf=True).fit_transform(tokens.astype(float)[:, learnt])
    found = word_features(tokens, rarity).toarray()
    np.testing.assert_allclose(found[:, learnt], WORD_LENGTH * reference.toarray(), atol=1e-6)
    assert (found[:, ~learnt] == 0).all()


def test_a_word_that_no_vector_tells_apart_is_learnt(minilm: Path, tmp_path: Path) -> None:
    filler = ["river", "music", "window", "garden", "engine", "doctor", "letter", "market", "forest", "winter"]
    texts = [
        f"{' '.join(np.random.default_rng(number).permutation(filler))} {'monday' if number % 2 else 'tuesday'}"
        for number in range(40)
    ]
    labelled = Labelled(texts, [float(number % 2) for number in range(40)], [1.0] * 40, [1] * 40)
    gaps = []
    for words in (True, False):
        encoder = StaticKind(minilm, words=words).fit(labelled, seed=0, folder=tmp_path / str(words))
        monday, tuesday = encoder.margin([f"{' '.join(filler)} {day}" for day in ("monday", "tuesday")])
        gaps.append(monday - tuesday)
    assert gaps[0] > 4 * gaps[1] > 0


@pytest.mark.parametrize("words", [True, False])
def test_a_loaded_encoder_gives_the_same_margins(minilm: Path, tmp_path: Path, words: bool) -> None:
    texts = ["a proof of a theorem", "the king of the village", "a theorem of the king", "", "\ud800 theorem"]
    labelled = Labelled(texts, [1.0, 0.0, 0.6, 0.2, 0.9], [1.0, 2.0, 1.0, 1.0, 3.0], [1] * 5)
    encoder = StaticKind(minilm, words=words).fit(labelled, seed=0, folder=tmp_path)
    loaded = StaticKind().load(encoder.paths)
    margins = loaded.margin(texts)
    np.testing.assert_array_equal(margins, encoder.margin(texts))
    one_by_one = np.concatenate([loaded.margin([text]) for text in texts])
    np.testing.assert_allclose(margins, one_by_one, rtol=0, atol=1e-12)
    assert loaded.margin([]).shape == (0,)
    assert isinstance(loaded, StaticEncoder)
    assert isinstance(loaded, VectorEncoder) is not words
