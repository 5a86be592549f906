"""Bodies that make no sense: each is a failure with its reason, never a guess, a crash, or a secret told."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from resources.annotator.endpoints.failures import TryAgain
from resources.annotator.endpoints.fleet import Fleet
from resources.annotator.endpoints.looking import look_around
from resources.annotator.endpoints.policy import Policy
from resources.annotator.endpoints.reading import probabilities, said, token_ids
from resources.annotator.endpoints.spelling import spelled

HUGE = int("9" * 400)


@pytest.mark.parametrize(
    "error", [{"message": "quota of your\nteam is used up", "code": 429}, "quota of your team is used up"]
)
def test_what_a_gateway_says_is_wrong_with_status_200_is_told(error: Any) -> None:
    with pytest.raises(TryAgain, match="no list of choices where one was asked for: quota of your team is used up"):
        said({"error": error})


@pytest.mark.parametrize("error", [None, 5, {}, {"message": ["a"]}, {"message": ""}])
def test_a_body_without_choices_and_without_words_is_told_as_it_is(error: Any) -> None:
    with pytest.raises(TryAgain, match=r"asked for$"):
        said({"error": error})


@pytest.mark.parametrize("number", [float("inf"), -HUGE, "a", None])
def test_numbers_that_are_none_are_worth_another_attempt(number: Any) -> None:
    entry = {"token": "token_id:7", "logprob": number, "top_logprobs": []}
    with pytest.raises(TryAgain):
        probabilities({"choices": [{"logprobs": {"content": [entry]}}]}, [7])
    if number != -HUGE:
        with pytest.raises(TryAgain, match="a count without tokens"):
            token_ids({"tokens": [number]})


def test_an_option_of_which_a_server_makes_no_token_is_refused() -> None:
    async def nothing(text: str) -> Sequence[int]:
        return []

    with pytest.raises(ValueError, match="no token of ' yes'"):
        asyncio.run(spelled(["yes", "no"], "", nothing, only_spaced=True))


@pytest.mark.parametrize("served", [5, True, "made/model", {"id": "made/model"}, ["made/model"], None])
def test_a_list_of_models_that_is_none_serves_none(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def get(*_: Any) -> dict[str, Any]:
        return {"data": served}

    monkeypatch.setattr(Fleet, "get", get)
    with pytest.raises(ValueError, match=r"serves \[\], not 'made/model'"):
        asyncio.run(look_around(Fleet(["http://host/v1"], Policy()), "made/model", needs_tokens=False))


@pytest.mark.parametrize("key", ["sk-plain", 'sk-"quoted"', "sk/slashed+=", "sk-\\back"])
@pytest.mark.parametrize("escape", [False, True])
def test_a_key_is_hidden_however_json_writes_it(key: str, escape: bool) -> None:
    body = json.dumps({"error": f"not with {key}"})
    shown = Fleet([], Policy(), key).hide(body.replace("/", "\\/") if escape else body)
    assert json.loads(shown) == {"error": "not with [key]"}
