"""What is sent: marks of templates broken up, options spelled and shuffled."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.annotator.endpoints.requests import TEMPLATE_MARKS, shuffled, spell, without_template_marks


@given(st.text(st.sampled_from("<|>/s[]INST_imendbotur "), max_size=60))
def test_no_mark_of_a_template_survives_and_nothing_else_changes(text: str) -> None:
    broken = without_template_marks(text)

    assert not TEMPLATE_MARKS.search(broken)
    assert broken.replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize("mark", ["<|im_end|>", "<|turn>", "<turn|>", "<channel|>", "[|endofturn|]", "<end_of_turn>"])
def test_marks_of_templates_are_broken_up_and_code_is_not(mark: str) -> None:
    code = "xs |> map (<|>) |> a[0|1] <= b |> c"
    assert without_template_marks(f"{code} {mark}") == f"{code} {mark[0]} {mark[1:]}"


@given(st.text())
def test_options_are_shuffled_by_the_document_alone(text: str) -> None:
    assert sorted(shuffled("abcde", text)) == list("abcde")
    assert shuffled("abcde", text) == shuffled("edcba", text)


def test_an_option_of_which_a_server_makes_no_token_is_refused() -> None:
    async def nothing(text: str) -> Sequence[int]:
        return []

    with pytest.raises(ValueError, match="no token of ' yes'"):
        asyncio.run(spell(["yes", "no"], "", nothing, only_spaced=True))
