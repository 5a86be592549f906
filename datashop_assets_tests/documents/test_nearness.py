import random
import re
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.documents.minhash_kernel import in_words, word_hashes
from datashop_assets.documents.nearness import BANDS, HeldoutBands, bands


def near(one: str, heldout: str) -> bool:
    [found] = HeldoutBands.of([heldout]).near([one])
    return found


def pair(words: int, changed: int, draw: random.Random) -> tuple[str, str]:
    """Two texts of as many words that differ in their last `changed` ones."""
    fresh = [[f"w{draw.getrandbits(40)}" for _ in range(count)] for count in (words - changed, changed, changed)]
    return " ".join(fresh[0] + fresh[1]), " ".join(fresh[0] + fresh[2])


@pytest.mark.parametrize(("changed", "low", "high"), [(0, 1, 1), (10, 0.98, 1), (60, 0.5, 0.8), (150, 0, 0.05)])
def test_texts_meet_as_often_as_their_shared_shingles_say(changed: int, low: float, high: float) -> None:
    draw = random.Random(7)
    pairs = [pair(200, changed, draw) for _ in range(200)]
    assert low <= np.mean([near(one, other) for one, other in pairs]) <= high


def test_case_spacing_and_punctuation_make_no_difference() -> None:
    assert (bands("One two, three FOUR five six.") == bands("one  two three\nfour five six")).all()


def test_the_order_of_words_makes_a_difference() -> None:
    assert not near("a b c d e f g h", "h g f e d c b a")


def test_a_long_text_is_hashed_in_blocks_to_the_same_end() -> None:
    words = [f"w{number}" for number in range(10_000)]
    assert near(" ".join(words), " ".join(words[:9_500]))


def test_nothing_is_among_no_keys() -> None:
    assert HeldoutBands.of(()).near(["a text"]) == [False]


@given(st.text(min_size=1))
def test_any_text_has_bands_and_meets_itself(text: str) -> None:
    assert bands(text).shape == (BANDS,)
    assert near(text, text)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_words_are_those_of_a_regular_expression_and_hashed_as_zlib_does(text: str) -> None:
    hashes = word_hashes(np.frombuffer(text.encode(), np.uint8), in_words())
    assert hashes.tolist() == [zlib.crc32(word.encode()) for word in re.findall(r"\w+", text)]


def test_bands_are_what_they_were_when_pools_were_indexed() -> None:
    """Recorded from the first implementation, in numpy: an index holds such keys, and a sample follows from them."""
    assert bands("Der schöne Satz von 1900, \u6f22\u5b57 and six more words")[:3].tolist() == [
        3_769_663_024_896_848_227,
        204_075_054_102_681_931,
        3_906_319_416_367_095_501,
    ]
    assert bands("...")[:3].tolist() == [
        5_318_951_488_131_346_924,
        14_800_703_808_675_388_270,
        9_316_667_510_444_904_317,
    ]
