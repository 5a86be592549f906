"""What the environment says: read by one model, wrong values named with the fix, and documented in .env.example."""

import re
from pathlib import Path

import pytest

from datashop_assets.settings import Settings, example_file, variable_of
from datashop_assets.storage.root import project
from datashop_assets_tests.environment import settings_of

CODE = ("datashop_assets", "resources", "infra")
READS = re.compile(r"os\.environ(?:\.get\(|\[)|os\.getenv\(")
# what is no setting of Datashop's: an environment handed on to a child process, or variables set for a library
ELSEWHERE = {
    "datashop_assets/orchestration/home.py": 1,  # sets DAGSTER_HOME, which Dagster asks for
    "datashop_assets/settings.py": 1,  # the key, in the variable that is named
    "resources/annotator/endpoints/connections.py": 1,  # OpenSSL's own variable, to say what it names
}


def test_an_empty_environment_is_the_embedded_default() -> None:
    settings = settings_of({})
    assert (settings.profile, settings.annotator, settings.ray_address) == ("local", "embedded", None)
    assert settings == settings_of(dict.fromkeys(map(variable_of, Settings.model_fields.values()), ""))


def test_addresses_are_told_apart_by_blanks_or_commas_and_each_stands_once() -> None:
    urls = "http://one:8000/v1, https://two/v1 http://one:8000/v1"
    assert settings_of({"DATASHOP_ANNOTATOR_URLS": urls}).annotator_urls == ("http://one:8000/v1", "https://two/v1")


def test_engine_arguments_are_read_as_a_shell_would() -> None:
    settings = settings_of({"DATASHOP_VLLM_ARGUMENTS": "--max-num-seqs 64 --chat-template 'a b'"})
    assert settings.vllm_arguments == ("--max-num-seqs", "64", "--chat-template", "a b")


def test_the_key_comes_from_its_variable_or_from_one_that_is_named_and_is_not_shown() -> None:
    named = settings_of({"DATASHOP_ANNOTATOR_KEY_VARIABLE": "OTHER_KEY", "OTHER_KEY": "secret"})
    assert named.annotator_key.get_secret_value() == "secret"
    assert settings_of({"DATASHOP_ANNOTATOR_KEY": "mine"}).annotator_key.get_secret_value() == "mine"
    assert "secret" not in repr(named)
    assert "secret" not in named.model_dump_json()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"DATASHOP_PROFILE": "cloud"}, "DATASHOP_PROFILE is 'cloud'; use one of local, gpu, gcp"),
        ({"DATASHOP_ANNOTATOR": "cloud"}, "'cloud'; use one of embedded, server, endpoints, ray-serve"),
        ({"DATASHOP_ANNOTATOR_DEADLINE": "soon"}, "DATASHOP_ANNOTATOR_DEADLINE is 'soon'; give a number above 0"),
        ({"DATASHOP_ANNOTATOR_DEADLINE": "nan"}, "DATASHOP_ANNOTATOR_DEADLINE is 'nan'; give a number above 0"),
        ({"DATASHOP_ANNOTATOR_CONCURRENCY": "0.5"}, "DATASHOP_ANNOTATOR_CONCURRENCY is '0.5'; give a whole number"),
        ({"DATASHOP_VLLM_TENSOR_PARALLEL_SIZE": "-1"}, "_SIZE is '-1'; give a whole number 0 or more"),
        ({"DATASHOP_VLLM_ARGUMENTS": "--a 'b"}, 'DATASHOP_VLLM_ARGUMENTS is "--a \'b"; close the quotation'),
        ({"DATASHOP_PROCESSES": "many"}, "DATASHOP_PROCESSES is 'many'; give a whole number above 0"),
        ({"DATASHOP_CHECKPOINTS_KEPT": "0"}, "DATASHOP_CHECKPOINTS_KEPT is '0'; give a whole number above 0"),
        ({"DATASHOP_ANNOTATOR_KEY": "sec\nret"}, r"^(?!.*sec).*a character that no HTTP header can"),
        ({"DATASHOP_ANNOTATOR_KEY_VARIABLE": "NO_SUCH"}, "'NO_SUCH', which is not set"),
        (
            {"DATASHOP_PROFILE": "x", "DATASHOP_ANNOTATOR_ATTEMPTS": "y"},
            "DATASHOP_PROFILE is 'x'; .*; DATASHOP_ANNOTATOR_ATTEMPTS is 'y'",
        ),
    ],
)
def test_a_wrong_value_is_named_with_the_fix(given: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        settings_of(given)


def test_every_variable_has_a_type_a_default_and_a_description() -> None:
    for name, field in Settings.model_fields.items():
        assert variable_of(field).isupper(), name
        assert field.description, name
        assert not field.is_required(), name


def test_the_example_file_holds_every_variable_and_no_other() -> None:
    assert (project() / ".env.example").read_text(encoding="utf-8") == example_file()
    written = re.findall(r"^# ([A-Z_]+)=", example_file(), re.MULTILINE)
    assert written == [variable_of(field) for field in Settings.model_fields.values()]


def test_no_other_module_reads_the_environment() -> None:
    found = {
        str(path.relative_to(project())): len(READS.findall(path.read_text(encoding="utf-8")))
        for folder in CODE
        for path in sorted(Path(project() / folder).rglob("*.py"))
    }
    assert {path: count for path, count in found.items() if count} == ELSEWHERE
