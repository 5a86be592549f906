"""What the environment says: read by one model, wrong values named with the fix, and documented in .env.example."""

import re

import pytest

from datashop_assets.settings import Settings, example_file, variable_of
from datashop_assets.storage.root import project
from datashop_assets_tests.environment import settings_of

CODE = ("datashop_assets", "resources", "infra")
ENVIRONMENT = re.compile(r"\bos\.(?:environb?|getenvb?|putenv|unsetenv)\b|\bfrom os import")
READ_SETTINGS = re.compile(r"(?<!def )\bread_settings\(\)|\b(?:doctor\.)?examine\(read_settings\)")
# where a process of Datashop's begins: each reads the settings and hands them down
ENTRY_POINTS = {
    "datashop_assets/definitions.py": 1,  # Dagster loads it
    "datashop_assets/commands/shared.py": 2,  # a command; a shell that completes names of prompts
    "datashop_assets/commands/setup.py": 1,  # `datashop doctor`, where a wrong variable is a finding
    "datashop_assets/orchestration/webserver.py": 1,  # `datashop-webserver`
    "datashop_assets/runner.py": 1,  # `DatashopRunner` in a script
    "datashop_assets/results.py": 1,  # `open_stage` in a notebook
    "infra/serving/render.py": 1,  # `python -m infra.serving.render`
}
# no setting of Datashop's: an environment handed on to a child process, or variables that are set for a library
ELSEWHERE = {
    "datashop_assets/commands/ui.py": 1,  # handed on to Dagster's services
    "datashop_assets/models/fasttext/classifier.py": 1,  # handed on to a training process
    "datashop_assets/orchestration/home.py": 1,  # sets DAGSTER_HOME, which Dagster asks for
    "datashop_assets/settings.py": 1,  # the key, in the variable that is named
    "datashop_assets/tpu_compilation.py": 1,  # sets what libtpu asks for
    "infra/images/build.py": 1,  # a program of CI's: what CI says of the commit, handed to `main`
    "resources/annotator/endpoints/connections.py": 1,  # OpenSSL's own variable, to say what it names
    "resources/annotator/vllm/server.py": 1,  # handed on to vLLM
    "resources/annotator/vllm/weights.py": 1,  # handed on to a process that exports weights
}


def found_in_code(pattern: re.Pattern[str]) -> dict[str, int]:
    """How often each module of the product has what the pattern finds."""
    modules = [path for folder in CODE for path in sorted((project() / folder).rglob("*.py"))]
    counts = {str(path.relative_to(project())): len(pattern.findall(path.read_text("utf-8"))) for path in modules}
    return {path: count for path, count in counts.items() if count}


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


def test_settings_are_read_at_entry_points_alone() -> None:
    assert found_in_code(READ_SETTINGS) == ENTRY_POINTS


def test_no_other_module_looks_at_the_environment() -> None:
    assert found_in_code(ENVIRONMENT) == ELSEWHERE
