"""Where the annotator is: what the environment says, and what is wrong with it."""

import pytest

from resources.annotator.endpoints.annotator import EndpointsAnnotator
from resources.annotator.names import full_name
from resources.annotator.resource import make_annotator
from resources.annotator.settings import from_environment
from resources.annotator.vllm.server import ServerAnnotator

URLS = "http://one:8000/v1, https://two/v1/ http://one:8000"


def test_without_a_word_the_annotator_is_embedded() -> None:
    assert from_environment({}).home == "embedded"
    assert from_environment({"DATASHOP_ANNOTATOR": ""}).home == "embedded"


def test_addresses_are_told_apart_by_blanks_or_commas_and_each_stands_once() -> None:
    settings = from_environment({"DATASHOP_ANNOTATOR": "endpoints", "DATASHOP_ANNOTATOR_URLS": URLS})

    assert settings.urls == ("http://one:8000/v1", "https://two/v1")
    assert isinstance(make_annotator(settings, print), EndpointsAnnotator)


def test_a_server_gets_engine_arguments_as_a_shell_would_read_them() -> None:
    given = {"DATASHOP_ANNOTATOR": "server", "DATASHOP_VLLM_ARGUMENTS": "--max-num-seqs 64 --enforce-eager"}
    settings = from_environment(given)

    assert settings.server.arguments == ("--max-num-seqs", "64", "--enforce-eager")
    assert settings.server.tensor_parallel_size is None
    assert isinstance(make_annotator(settings, print), ServerAnnotator)


def test_the_key_comes_from_its_variable_or_from_one_that_is_named_and_is_not_shown() -> None:
    named = from_environment({"DATASHOP_ANNOTATOR_KEY_VARIABLE": "OTHER_KEY", "OTHER_KEY": "secret"})

    assert named.key == "secret"
    assert from_environment({"DATASHOP_ANNOTATOR_KEY": "mine"}).key == "mine"
    assert "secret" not in repr(named)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"DATASHOP_ANNOTATOR": "cloud"}, "'cloud'; use one of embedded, server, endpoints"),
        ({"DATASHOP_ANNOTATOR": "endpoints"}, "DATASHOP_ANNOTATOR_URLS is empty"),
        ({"DATASHOP_ANNOTATOR_URLS": "ftp://host"}, "is no http:// or https:// address"),
        ({"DATASHOP_ANNOTATOR_URLS": "me:secret@host:8000/v1"}, r"^(?!.*secret).* is no http:// or https:// address"),
        ({"DATASHOP_ANNOTATOR_URLS": "host/v1?key=secret"}, r"^(?!.*secret).* is no http:// or https:// address"),
        (
            {"DATASHOP_ANNOTATOR_URLS": "https://me:secret@host/v1"},
            r"^the annotator URL of host holds a user(?!.*secret)",
        ),
        ({"DATASHOP_ANNOTATOR_DEADLINE": "soon"}, "DATASHOP_ANNOTATOR_DEADLINE is 'soon'; give a number above 0"),
        ({"DATASHOP_ANNOTATOR_CONCURRENCY": "0.5"}, "DATASHOP_ANNOTATOR_CONCURRENCY is '0.5'; give a whole number"),
        ({"DATASHOP_ANNOTATOR_KEY": "a\nb"}, "a character that no HTTP header can"),
        ({"DATASHOP_ANNOTATOR_KEY_VARIABLE": "NO_SUCH"}, "'NO_SUCH', which is not set"),
    ],
)
def test_a_bad_setting_is_named_with_the_mend(given: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_environment(given)


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
