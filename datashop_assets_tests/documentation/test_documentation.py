"""What the documents tell people to do can be done, and the messages that they explain exist."""

import ast
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

from datashop_assets.cli import main
from datashop_assets.graph import GRAPH
from datashop_assets.prompts.parsing import parse_yaml
from datashop_assets.prompts.prompt import parse_prompt
from datashop_assets.prompts.section import Section
from datashop_assets.storage.root import project

PAGES = sorted([*project().glob("docs/*.md"), project() / "README.md", project() / "CONTRIBUTING.md"])
COMMAND = re.compile(r"(?:^|`)(datashop [^`\n#]+)", re.MULTILINE)
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
GAP = "…"
YAML = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#]+)\)")


def commands() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for found in COMMAND.findall(page.read_text()):
            yield page.name, re.split(r"\s{2,}| \[| > |…|; ", found.strip())[0]


@pytest.mark.parametrize(("page", "line"), sorted(set(commands())))
def test_every_command_that_a_page_names_exists(page: str, line: str) -> None:
    command: click.Command = main
    for word in shlex.split(line)[1:]:
        if word.startswith("-"):
            known = {name for option in command.params for name in option.opts} | {"--help", "--version"}
            assert word in known, f"{page}: {line}"
        elif isinstance(command, click.Group) and re.fullmatch(r"[a-z-]+", word):
            assert word in command.commands, f"{page}: {line}"
            command = command.commands[word]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_links_to_is_there(page: Path) -> None:
    for link in LINK.findall(page.read_text()):
        if not link.startswith("http"):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def settings() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for block in YAML.findall(page.read_text()):
            yield page.name, block


@pytest.mark.parametrize(("page", "block"), sorted(settings()))
def test_every_setting_that_a_page_shows_is_one_of_a_prompt_file(page: str, block: str) -> None:
    fields = parse_yaml(block.encode(), page)
    rubric = {} if "targets" in fields else {"rubric": "{example}"}
    annotator = {"scoring": "generate"} | fields.pop("annotator", {})
    fields = {"name": "Shown", **rubric, "annotator": annotator, **fields}
    if ":" in fields.get("processor", {}).get("type", ""):
        fields["processor"] = {"type": "finalscore0-5"}  # a class of the page's own
    assert parse_prompt(fields, "shown", page).name


def explained() -> Iterator[str]:
    """The messages that the page on troubleshooting begins its lines with; a gap stands for a name or a number."""
    for line in (project() / "docs" / "troubleshooting.md").read_text().splitlines():
        head = line.removeprefix("|").split(" | ")[0]
        yield from (found for found in re.findall(r"`([^`]+)`", head) if " " in found and "datashop " not in found)


@cache
def said() -> list[str]:
    """Every text of the code, with a gap for what is filled in."""
    files = [file for folder in ("datashop_assets", "resources") for file in (project() / folder).rglob("*.py")]
    trees = [ast.walk(ast.parse(file.read_text())) for file in files]
    return [text for tree in trees for node in tree if (text := _text(node))]


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) or GAP for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


@pytest.mark.parametrize("message", sorted(set(explained())))
def test_every_message_that_is_explained_is_one_that_the_code_says(message: str) -> None:
    for part in filter(None, (part.strip(" '") for part in message.split(GAP))):
        assert any(part in text for text in said()), part


@pytest.fixture
def beginner(tmp_path: Path) -> dict[str, str]:
    """The environment of somebody with an empty folder."""
    places = {"DATASHOP_ROOT": "root", "DATASHOP_PROMPTS": "prompts", "DAGSTER_HOME": "home"}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, **{name: str(tmp_path / at) for name, at in places.items()}, "PATH": path, "NO_COLOR": "1"}


@pytest.mark.faults
@pytest.mark.timeout(1800)
def test_the_tutorial_runs_as_it_stands(beginner: dict[str, str], tmp_path: Path) -> None:
    blocks = BLOCK.findall((project() / "docs" / "tutorial.md").read_text())
    assert len(blocks) == 7
    said: list[str] = []
    for block in blocks:
        done = subprocess.run(
            ["bash", "-ec", block], env=beginner, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        said.append(done.stdout)
    assert '"verdict"' in "".join(said)
    [page] = set(re.findall(r'"path": "([^"]+card.html)"', "".join(said)))
    assert "Estimates are the last that" in Path(page).read_text()
    assert "tides and tides-wide on one pool of 11,709 documents" in said[-1]


@pytest.mark.faults
@pytest.mark.timeout(1800)
def test_the_script_of_the_documents_runs_as_it_stands(beginner: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()
    script = str(project() / "examples" / "tutorial.py")
    done = subprocess.run(
        [sys.executable, script], env=beginner, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "card.html" in done.stdout


def answers() -> dict[str, tuple[str, list[str]]]:
    """Question -> answer and files of "Where to look" in the architecture."""
    page = (project() / "docs" / "architecture.md").read_text().split("## Where to look")[1]
    found = re.findall(r"^\*\*(.+?\?)\*\* (.+) \*(`.+`)\*$", page, re.MULTILINE)
    return {question: (answer, re.findall(r"`([^`]+)`", files)) for question, answer, files in found}


def test_the_architecture_answers_every_question_that_it_asks() -> None:
    page = (project() / "docs" / "architecture.md").read_text()
    assert list(answers()) == re.findall(r"^\*\*(.+?\?)\*\*", page, re.MULTILINE)
    assert len(answers()) == 11


@pytest.mark.parametrize(("answer", "files"), answers().values(), ids=answers())
def test_what_an_answer_names_is_in_its_four_files(answer: str, files: list[str]) -> None:
    code = "".join(
        (project() / ("" if file.count("/") > 1 else "datashop_assets") / file).read_text() for file in files
    )
    assert len(files) <= 4
    for name in re.findall(r"`([A-Za-z_]+)`", answer):
        assert re.search(rf"\b{name}\b", code), name


def test_the_picture_of_the_graph_shows_every_stage() -> None:
    picture = (project() / "docs" / "images" / "graph.svg").read_text()
    assert sorted(re.findall(r">([a-z_]+)</text>", picture)) == sorted(stage.name for stage in GRAPH)


def prompt_sections() -> list[type[Section]]:
    """Price tables are sections too, of a file of their own."""
    return [one for one in Section.__subclasses__() if one.__module__.startswith("datashop_assets.prompts.")]


def test_the_reference_has_every_section_of_a_prompt_file() -> None:
    page = (project() / "docs" / "reference.md").read_text()
    shown = set(re.findall(r"^::: (datashop_assets\.prompts\.\S+)", page, re.MULTILINE))
    assert shown == {f"{one.__module__}.{one.__name__}" for one in prompt_sections()}
