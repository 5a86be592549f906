"""A prompt file from a few words: valid from the start, and never in place of another."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.cli import main
from datashop_assets.prompts.editing import Draft, write_draft
from datashop_assets.prompts.prompt import load_prompt
from datashop_assets.shipped import shipped


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DATASHOP_PROMPTS", str(tmp_path / "prompts"))
    monkeypatch.setenv("DATASHOP_ROOT", str(tmp_path / "root"))
    return tmp_path / "prompts"


def datashop(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_what_is_written_is_what_was_asked_for(folder: Path) -> None:
    assert (
        datashop("new-prompt", "tides", "--name", "Tides", "--targets", "physics, law", "--keep", "0.05").exit_code == 0
    )
    prompt = load_prompt(folder / "tides.yaml")
    assert (prompt.name, prompt.keep.fraction, prompt.automatic) == ("Tides", 0.05, False)
    assert prompt.annotator.likelihood is not None
    assert list(prompt.annotator.likelihood.targets) == ["physics", "law"]
    assert datashop("prompts", "check").output == "tides: good\n"


def test_a_file_that_is_there_stays_as_it_is(folder: Path) -> None:
    datashop("new-prompt", "tides", "--targets", "physics")
    before = (folder / "tides.yaml").read_bytes()
    again = datashop("new-prompt", "tides", "--targets", "law")
    assert again.exit_code == 2
    assert (folder / "tides.yaml").read_bytes() == before


def test_a_person_at_a_terminal_is_asked_for_what_is_missing(folder: Path) -> None:
    answers = {
        "Slug": "tides",
        "Name [Tides]:": "",
        "Subjects that score": "physics, geography",
        "Edit it now? [y/N]:": "n",
        "Share of documents to keep [0.1]:": "0.05",
    }
    person, terminal = pty.openpty()
    command = [str(Path(sys.executable).with_name("datashop")), "new-prompt"]
    process = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, env=dict(os.environ))
    os.close(terminal)
    for question, answer in answers.items():
        shown = ""
        while question not in shown:
            shown += os.read(person, 1000).decode()
        os.write(person, f"{answer}\n".encode())
    assert process.wait(30) == 0
    os.close(person)
    prompt = load_prompt(folder / "tides.yaml")
    assert (prompt.name, prompt.keep.fraction) == ("Tides", 0.05)
    assert prompt.annotator.likelihood is not None
    assert list(prompt.annotator.likelihood.targets) == ["physics", "geography"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("tides",),  # no targets, and nobody to ask
        ("tides", "--targets", "not-a-subject"),
        ("../tides", "--targets", "physics"),
        ("tides", "--targets", "physics", "--keep", "2"),
        ("tides", "--targets", "physics", "--rubric", "no place for the document"),
        ("tides", "--example", "nothing"),
    ],
)
def test_what_cannot_be_a_prompt_leaves_no_file(folder: Path, arguments: tuple[str, ...]) -> None:
    found = datashop("new-prompt", *arguments)
    assert found.exit_code == 2
    assert not list(folder.glob("*")) if folder.exists() else True


def test_an_example_is_copied_as_it_stands(folder: Path) -> None:
    assert datashop("new-prompt", "mine", "--example", "mathematics").exit_code == 0
    assert (folder / "mine.yaml").read_bytes() == shipped("prompts/mathematics.yaml").read_bytes()


@given(st.text(st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="\ufeff"), max_size=80))
def test_any_rubric_comes_back_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, words: str) -> None:
    rubric = f"{words.replace('{example}', '')}\n  - {{x}} $\\frac{{1}}{{2}}$: #\n{{example}}\n"
    place = write_draft(Draft("p", "P", rubric=rubric, targets=("law",)), tmp_path_factory.mktemp("p"))
    assert load_prompt(place).rubric == rubric
