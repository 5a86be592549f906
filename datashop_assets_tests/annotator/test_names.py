"""Short names of models, and what an annotator calls them."""

import pytest

from resources.annotator.names import full_name


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("Llama-3.3-70B-Instruct", "meta-llama/Llama-3.3-70B-Instruct"),
        ("llama-3.3-70b-instruct", "meta-llama/Llama-3.3-70B-Instruct"),
        ("somebody/else", "somebody/else"),
    ],
)
def test_models_have_short_names(short: str, full: str) -> None:
    assert full_name(short) == full
