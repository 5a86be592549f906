"""Where the words are in a server's answer, and bodies that make no sense: never a guess, a crash, or a secret."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.protocols.annotator import Ended
from datashop_assets_tests.asking.reply_examples import MESSAGES, Message
from datashop_assets_tests.handled_inputs import Example
from resources.annotator.endpoints.errors import (
    ContentFilteredError,
    ForbiddenError,
    PromptTooLongError,
    RejectedError,
    RequestError,
    RetryableError,
    UnknownModelError,
    UnreadableError,
    UnusableEndpointError,
    WrongAddressError,
    WrongKeyError,
)
from resources.annotator.endpoints.replies import read_completion, read_probabilities, read_token_ids
from resources.annotator.endpoints.statuses import QUOTA_FIX, error_of_status

HUGE = int("9" * 400)
RAISED = "raise annotator.sampling.max_tokens, then run again: what is answered is kept"


@pytest.mark.parametrize(
    "error", [{"message": "quota of your\nteam is used up", "code": 429}, "quota of your team is used up"]
)
def test_what_a_gateway_says_is_wrong_with_status_200_is_told(error: Any) -> None:
    with pytest.raises(
        RetryableError, match="no list of choices where one was asked for: quota of your team is used up"
    ):
        read_completion({"error": error})


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            {"choices": None, "base_resp": {"status_code": 1004, "status_msg": "login fail: no key"}},
            "login fail: no key",
        ),
        ({"choices": None, "code": 1301, "msg": "sensitive content"}, "sensitive content"),
        ({"choices": [], "message": "the model is away"}, "the model is away"),
        ({"choices": [], "message": {"detail": [{"msg": "not permitted", "loc": ["seed"]}]}}, "not permitted; seed"),
    ],
)
def test_a_body_without_choices_is_quoted_wherever_its_words_are(body: Any, words: str) -> None:
    with pytest.raises(RetryableError, match=f"where one was asked for: {words}$"):
        read_completion(body)


@pytest.mark.parametrize(
    ("body", "interface"),
    [
        ({"message": {"role": "assistant", "content": "Final score: 3"}, "done": True}, "Ollama"),
        ({"response": "Final score: 3", "done": True}, "Ollama"),
        ({"type": "message", "content": [{"type": "text", "text": "Final score: 3"}]}, "Anthropic"),
        ({"candidates": [{"content": {"parts": [{"text": "Final score: 3"}]}}]}, "Gemini"),
        ({"object": "response", "output": []}, "/responses"),
        ({"output": {"text": "Final score: 3", "finish_reason": "stop"}}, "DashScope"),
    ],
)
def test_the_answer_of_another_interface_says_what_is_wrong_with_the_address(body: Any, interface: str) -> None:
    with pytest.raises(WrongAddressError, match=f"no chat completion but one of .*{interface}.*ends in /v1"):
        read_completion(body)


@pytest.mark.parametrize("end", ["error", None, "stop"])
@pytest.mark.parametrize("error", [{"code": 502, "message": "upstream idle timeout"}, "upstream idle timeout"])
def test_a_choice_with_an_error_is_no_reply_whatever_was_written(end: str | None, error: Any) -> None:
    choice = {"message": {"content": "Final score: 1"}, "finish_reason": end, "error": error}
    with pytest.raises(RetryableError, match="broken off: upstream idle timeout"):
        read_completion({"choices": [choice]})


@pytest.mark.parametrize(
    ("end", "ended"),
    [
        ("content_filter", Ended.REFUSED),
        ("content_filter: PROHIBITED_CONTENT", Ended.REFUSED),
        ("SAFETY", Ended.REFUSED),
        ("length", Ended.LENGTH),
        ("FINISH_REASON_MAX_TOKENS", Ended.LENGTH),
    ],
)
def test_a_refusal_and_a_cut_need_no_message(end: str, ended: Ended) -> None:
    completion = read_completion({"choices": [{"index": 0, "finish_reason": end}], "usage": {"prompt_tokens": 50}})
    assert (completion.ended, completion.text, completion.reason) == (ended, "", f"finish_reason {end}")


@pytest.mark.parametrize(
    ("ended", "ends"),
    [
        (Ended.OTHER_LIMIT, ("model_context_window_exceeded", "context_length_exceeded", "time_limit")),
        (Ended.LENGTH, ("max_tokens", "max_new_tokens", "MaxTokens", "token_limit_reached", "max_completion_tokens")),
    ],
)
def test_a_reply_that_was_cut_is_never_whole_whatever_its_end_is_called(ended: Ended, ends: tuple[str, ...]) -> None:
    for end in ends:
        completion = read_completion({"choices": [{"message": {"content": "Final score: 3"}, "finish_reason": end}]})
        assert completion.ended is ended


@pytest.mark.parametrize(
    ("status", "body", "fix"),
    [
        (403, "<!DOCTYPE html><html><head><title>Just a moment...</title></head></html>", "page of a gateway"),
        (
            403,
            '{"error": {"code": "unsupported_country_region_territory", "message": "Country not supported"}}',
            "region",
        ),
        (400, '[{"error": {"code": 400, "message": "User location is not supported for the API use."}}]', "region"),
    ],
)
def test_who_is_not_let_in_for_another_reason_than_the_key_is_told_so(status: int, body: str, fix: str) -> None:
    error = error_of_status(status, body)
    assert isinstance(error, UnusableEndpointError)
    assert not isinstance(error, WrongKeyError)
    assert fix in error.reason.partition(";")[2]
    assert "DATASHOP_ANNOTATOR_KEY" not in error.reason


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (
            400,
            '[{"error": {"code": 400, "message": "API key not valid. Please pass a valid API key.", "details": '
            '[{"reason": "API_KEY_INVALID"}]}}]',
            WrongKeyError,
            "set DATASHOP_ANNOTATOR_KEY",
        ),
        (
            400,
            '{"error": {"message": "The requested model \'Qwen/Qwen2.5-9B\' does not exist", "code": "invalid"}}',
            UnknownModelError,
            "annotator.model",
        ),
        (
            400,
            '{"error": "Model Qwen/Qwen2.5-9B is not supported by any provider you have enabled."}',
            UnknownModelError,
            "annotator.model",
        ),
        (
            400,
            '{"error": {"message": "max_tokens is too large: 99999. This model supports at most 16384 completion '
            'tokens, whereas you provided 99999.", "param": "max_tokens"}}',
            UnusableEndpointError,
            "lower annotator.sampling.max_tokens",
        ),
        (
            429,
            '{"error": {"message": "Request too large for model on tokens per minute (TPM): Limit 6000, Requested '
            '9000", "code": "rate_limit_exceeded"}}',
            PromptTooLongError,
            "Limit 6000, Requested 9000",
        ),
        (
            429,
            '{"error": {"message": "Rate limit reached (TPM): Limit 6000, Used 5800, Requested 700"}}',
            RetryableError,
            "Used 5800",
        ),
        (500, '{"error": ["busy", "try later"]}', RetryableError, "busy; try later"),
        (499, '{"error": "client closed request"}', RetryableError, "client closed"),
        (202, '{"choices": [], "message": "queued"}', UnreadableError, "status 202 in place of 200"),
        (204, "", UnreadableError, "status 204 in place of 200"),
        (400, '{"error": {"message": "max_tokens must be at least 1024"}}', UnusableEndpointError, RAISED),
        (
            400,
            '{"error": {"message": "Expected a value >= 16.", "param": "max_tokens"}}',
            UnusableEndpointError,
            RAISED,
        ),
        (
            422,
            '{"detail": [{"loc": ["body", "max_tokens"], "msg": "Input should be greater than or equal to 16"}]}',
            UnusableEndpointError,
            RAISED,
        ),
        (
            400,
            '{"error": "max_tokens: 300000 > 8192, the maximum allowed number of output tokens"}',
            UnusableEndpointError,
            "lower annotator.sampling.max_tokens",
        ),
        (
            400,
            '{"message": "max_tokens (9999) is greater than 8192"}',
            UnusableEndpointError,
            "lower annotator.sampling.max_tokens",
        ),
        (400, '{"message": "Range of max_tokens should be [1, 8192]"}', UnusableEndpointError, "within that range"),
        (400, '{"message": "max_tokens must be at least 1, got -5."}', PromptTooLongError, "got -5"),
        (400, '{"message": "prompt tokens + max_tokens must be <= 4096"}', PromptTooLongError, "4096"),
        (
            400,
            '{"error": {"message": "\'max_tokens\' is not supported with this model. Use '
            "'max_completion_tokens' instead, at least 1.\"}}",
            RejectedError,
            "instead",
        ),
        (
            403,
            '{"error": {"message": "made/model requires moderation. Your input was flagged", "code": 403, '
            '"metadata": {"reasons": ["violence"]}}}',
            ContentFilteredError,
            "flagged",
        ),
        (
            400,
            '{"error": {"code": "data_inspection_failed", "message": "Output blocked"}}',
            ContentFilteredError,
            "Output blocked",
        ),
        (451, '{"error": {"message": "stopped by the content filter"}}', ContentFilteredError, "content filter"),
        (403, "<html><title>Content Filter</title></html>", ForbiddenError, "page of a gateway"),
        (403, '{"error": {"message": "Your request was flagged as abuse"}}', WrongKeyError, "flagged"),
        (
            403,
            '{"code": "AllocationQuota.FreeTierOnly", "message": "no more free tokens"}',
            UnusableEndpointError,
            QUOTA_FIX,
        ),
        (403, '{"error": "You have reached your monthly limit."}', UnusableEndpointError, QUOTA_FIX),
        (403, '{"error": "Your monthly included credits exceeded."}', UnusableEndpointError, QUOTA_FIX),
        (429, '{"error": "You\'ve reached your monthly limit."}', UnusableEndpointError, "until the quota is renewed"),
        (429, '{"error": {"code": "daily_limit_exceeded"}}', UnusableEndpointError, "until the quota is renewed"),
        (429, '{"error": "Slow down. Your daily limit is 5000 requests."}', RetryableError, "Slow down"),
        (
            404,
            '{"error": {"message": "No endpoints found matching your data policy (Free model publication)."}}',
            UnusableEndpointError,
            "the data policy of this model, or name another model as annotator.model",
        ),
        (
            404,
            '{"error": {"message": "No allowed providers are available for the selected model."}}',
            UnusableEndpointError,
            "allow there the providers",
        ),
        (404, '{"error": {"message": "No endpoints found for made/model."}}', UnknownModelError, "annotator.model"),
        (410, '{"error": "The model `made/model-3.1` has been decommissioned."}', UnknownModelError, "annotator.model"),
        (400, '{"error": "model made/model is now deprecated"}', UnknownModelError, "annotator.model"),
    ],
)
def test_what_a_server_means_is_found_in_its_words(status: int, body: str, kind: type[RequestError], said: str) -> None:
    error = error_of_status(status, body)
    assert type(error) is kind
    assert said in error.reason


def test_a_key_that_may_not_use_the_model_is_still_the_key() -> None:
    assert isinstance(error_of_status(403, '{"error": {"message": "You have no permission"}}'), WrongKeyError)


@pytest.mark.parametrize("error", [None, 5, {}, {"message": [5]}, {"message": ""}])
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


@pytest.mark.parametrize("example", MESSAGES.examples, ids=lambda one: one.given)
def test_the_words_of_an_answer_are_found_wherever_they_stand(example: Example[Message]) -> None:
    completion = read_completion({"choices": [json.loads(example.given)], "usage": {"completion_tokens": 9}})
    assert (completion.ended, completion.text, completion.reason) == example.expected


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"prompt_tokens": 50, "completion_tokens": 9, "total_tokens": 59}, (50, 9)),
        ({"prompt_tokens": 50, "completion_tokens": 9, "total_tokens": 1059}, (50, 1009)),  # thinking, left out
        ({"prompt_tokens": 50, "total_tokens": 59}, (50, 9)),
        ({"completion_tokens": 9}, (0, 9)),
        ({"prompt_tokens": "50", "completion_tokens": None}, (50, 0)),  # half of it: the other is estimated
        ({"prompt_tokens": 50}, (50, 0)),
        ({"prompt_tokens": 50, "completion_tokens": 9.5}, (50, 0)),
        ({"prompt_tokens": 50, "completion_tokens": 0, "total_tokens": 50}, (50, 0)),
        ({"prompt_tokens": 50, "completion_tokens": None, "total_tokens": 50}, (50, 0)),
        ({"prompt_tokens": "50", "completion_tokens": "9"}, (50, 9)),
        ({"prompt_tokens": 50, "completion_tokens": 0}, (50, 0)),
        ({"prompt_tokens": 50.0, "completion_tokens": 9.0}, (50, 9)),
        ({"input_tokens": 50, "output_tokens": 9}, (50, 9)),
        ({"total_tokens": 59}, (58, 1)),  # nothing of which is estimated beside it
        ({"completion_tokens": 9, "total_tokens": 59}, (50, 9)),
        ({"prompt_tokens": True, "completion_tokens": True}, (0, 0)),
        ({"prompt_tokens": "many", "completion_tokens": float("nan")}, (0, 0)),
        ({"prompt_tokens": -50, "completion_tokens": 10**13}, (0, 0)),
        (None, (0, 0)),
    ],
)
def test_tokens_that_are_paid_for_are_counted_wherever_they_are_said(usage: Any, tokens: tuple[int, int]) -> None:
    completion = read_completion({"choices": [{"message": {"content": "Final score: 3"}}], "usage": usage})
    assert (completion.tokens_in, completion.tokens_out) == tokens


@pytest.mark.parametrize("end", [None, "whatever"])
def test_a_reply_of_all_tokens_that_were_asked_for_is_cut_where_its_end_is_not_known(end: str | None) -> None:
    body = {"choices": [{"message": {"content": "Final score: 3"}, "finish_reason": end}]}
    body["usage"] = {"completion_tokens": 9}  # type: ignore[assignment]
    assert read_completion(body, limit=9).ended is Ended.LENGTH
    assert read_completion(body, limit=10).ended is Ended.COMPLETE


@pytest.mark.parametrize(
    ("choice", "reason"),
    [
        ({"message": {"content": "Fin"}, "finish_reason": "abort"}, "broken off: finish_reason abort"),
        ({"message": {"content": "Fin"}, "finish_reason": "server_error"}, "broken off: finish_reason server_error"),
        ({"finish_reason": "stop"}, "a choice without a message"),
        ({"message": {"content": 3}, "finish_reason": "stop"}, "a message whose content is no text"),
        ({"message": "Final score: 3", "finish_reason": "stop"}, "a choice without a message"),
    ],
)
def test_a_reply_that_was_broken_off_or_is_no_text_is_tried_again(choice: dict[str, Any], reason: str) -> None:
    with pytest.raises(RetryableError, match=reason):
        read_completion({"choices": [choice]})


@given(
    st.recursive(
        st.none() | st.text(max_size=5) | st.integers(),
        lambda inside: (
            st.lists(inside, max_size=3)
            | st.dictionaries(
                st.sampled_from(("type", "text", "thinking", "refusal", "content", "reasoning")), inside, max_size=4
            )
        ),
    )
)
def test_whatever_stands_in_a_message_is_read_or_tried_again(content: Any) -> None:
    for message in (
        {"content": content},
        {"content": None, "reasoning": content},
        {"content": "", "tool_calls": content},
    ):
        with contextlib.suppress(RetryableError):
            assert isinstance(read_completion({"choices": [{"message": message}]}).text, str)
