"""Bodies that make no sense: each is an error with its reason, never a guess, a crash, or a secret shown."""

from typing import Any

import pytest

from resources.annotator.endpoints.errors import (
    ContentFilteredError,
    PromptTooLongError,
    RejectedError,
    RetryableError,
    UnusableEndpointError,
    error_of_status,
)
from resources.annotator.endpoints.replies import read_completion, read_probabilities, read_token_ids

HUGE = int("9" * 400)


@pytest.mark.parametrize(
    "error", [{"message": "quota of your\nteam is used up", "code": 429}, "quota of your team is used up"]
)
def test_what_a_gateway_says_is_wrong_with_status_200_is_told(error: Any) -> None:
    with pytest.raises(
        RetryableError, match="no list of choices where one was asked for: quota of your team is used up"
    ):
        read_completion({"error": error})


@pytest.mark.parametrize("error", [None, 5, {}, {"message": ["a"]}, {"message": ""}])
def test_a_body_without_choices_and_without_words_is_told_as_it_is(error: Any) -> None:
    with pytest.raises(RetryableError, match=r"asked for$"):
        read_completion({"error": error})


@pytest.mark.parametrize("number", [float("inf"), -HUGE, "a", None])
def test_numbers_that_are_none_are_worth_another_attempt(number: Any) -> None:
    entry = {"token": "token_id:7", "logprob": number, "top_logprobs": []}
    with pytest.raises(RetryableError):
        read_probabilities({"choices": [{"logprobs": {"content": [entry]}}]}, [7])
    if number != -HUGE:
        with pytest.raises(RetryableError, match="a count without tokens"):
            read_token_ids({"tokens": [number]})


def test_what_an_http_status_stands_for() -> None:
    assert isinstance(error_of_status(500, "", 0), RetryableError)
    assert isinstance(error_of_status(503, "", 0), RetryableError)
    assert isinstance(error_of_status(400, "maximum context length is 10", 0), PromptTooLongError)
    assert isinstance(error_of_status(400, '{"code": "content_filter"}', 0), ContentFilteredError)
    assert isinstance(error_of_status(400, "bad template", 0), RejectedError)
    assert isinstance(error_of_status(302, "", 0), UnusableEndpointError)
    busy = error_of_status(429, "", 7)
    assert isinstance(busy, RetryableError)
    assert (busy.busy, busy.rate_limited, busy.wait) == (True, True, 7)


def test_the_servers_own_numbers_say_how_much_to_cut() -> None:
    too_long = error_of_status(400, "maximum context length is 2048 tokens. However, you requested 4096 tokens", 0)

    assert isinstance(too_long, PromptTooLongError)
    assert too_long.share_that_fits() == 0.95 * 0.5


@pytest.mark.parametrize("body", [{}, {"tokens": None}, {"tokens": ["a"]}])
def test_a_count_that_makes_no_sense_is_tried_again(body: dict[str, Any]) -> None:
    assert read_token_ids({"tokens": [1, 2]}) == [1, 2]
    with pytest.raises(RetryableError, match="a count without tokens"):
        read_token_ids(body)
