"""What is read of a document."""

from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.excerpts import MARK, Part, excerpt, fitting

PARTS = st.sampled_from(["head", "windows"])


@given(st.text(), st.integers(1, 60), PARTS)
def test_a_cut_keeps_that_many_characters_of_the_document_and_is_marked(text: str, most: int, part: Part) -> None:
    read, cut = excerpt(text, most, part)
    assert cut is (len(text) > most)
    if not cut:
        assert read == text
    else:
        kept = len(read) - read.count(MARK) * len(MARK) - (len(MARK.rstrip()) if read.endswith(MARK.rstrip()) else 0)
        assert MARK.strip() in read
        assert MARK.strip() in text or kept == most


def test_windows_are_the_beginning_the_middle_and_the_end() -> None:
    text = "".join(f"{place:04d}" for place in range(1000))
    beginning, middle, end = excerpt(text, 120, "windows")[0].split(MARK)
    assert (beginning, end) == (text[:40], text[-40:])
    assert text.index(middle) == 1980


@given(st.text(min_size=1), st.integers(1, 60), PARTS, st.integers(0, 80))
def test_what_a_model_takes_is_the_longest_excerpt_that_fits(text: str, most: int, part: Part, room: int) -> None:
    read, cut = fitting(text, most, part, lambda read: len(read.encode()) <= room)
    assert len(read.encode()) <= room
    assert cut or read == text
