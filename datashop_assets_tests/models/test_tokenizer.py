"""The tokenizer writes every text, and no text can write its separator."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from datashop_assets.models.tokenizer import END, encode, end_token, train_tokenizer

TEXTS = ["the keeper of the light walks to the tower", "one + one = two", "the wind over the water"] * 20


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(TEXTS, 280)


def test_it_has_as_many_tokens_as_were_asked_for(tokenizer: Tokenizer) -> None:
    assert tokenizer.get_vocab_size() == 280


def test_it_learns_the_same_from_the_same_texts(tokenizer: Tokenizer) -> None:
    assert train_tokenizer(TEXTS, 280).to_str() == tokenizer.to_str()


@settings(deadline=None, max_examples=60)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back_whole(tokenizer: Tokenizer, text: str) -> None:
    [tokens] = encode(tokenizer, [text])
    assert tokenizer.decode(tokens.tolist(), skip_special_tokens=False) == text


def test_the_separator_written_in_a_text_is_text(tokenizer: Tokenizer) -> None:
    [tokens] = encode(tokenizer, [f"before{END}after"])
    assert end_token(tokenizer) not in tokens
    assert tokenizer.decode(tokens.tolist()) == f"before{END}after"


def test_more_tokens_than_the_texts_hold_are_refused_with_the_number_there_is() -> None:
    with pytest.raises(ValueError, match=r"training.vocabulary is 5000, .* give only \d+ tokens; set"):
        train_tokenizer(TEXTS, 5000)
