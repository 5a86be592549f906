"""What others wrote never moves a terminal: by every way in which Datashop prints."""

import io
import json
import unicodedata
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from rich.markdown import Markdown
from rich.table import Table

from datashop_assets.commands import shared
from datashop_assets.markdown import escaped, unescaped
from datashop_assets.printable import printable
from datashop_assets.terminal import PrintableConsole
from resources.progress import TerminalProgress

ESCAPES = [
    "\x1b]0;title\x07",
    "\x1b[2J",
    "\x9b31m",
    "\x1b]52;c;c2VjcmV0\x07",
    "a\rb",
    "\x08\x08",
    "\u202egnp.exe",
    "\x7f",
    "\ud800",
    "\x1bP\x9c",
]
WILD = st.lists(st.sampled_from(ESCAPES) | st.text(max_size=20)).map("".join)


def harmless(text: str) -> bool:
    """No control character but line feed and tab, no mark of direction."""
    direction = {"RLO", "LRO", "RLE", "LRE", "PDF", "RLI", "LRI", "FSI", "PDI"}
    return all(
        (letter in "\n\t" or unicodedata.category(letter) not in ("Cc", "Cs"))
        and unicodedata.bidirectional(letter) not in direction
        for letter in text
    )


@given(WILD)
def test_text_has_no_character_that_a_terminal_obeys(text: str) -> None:
    assert harmless(printable(text))
    assert printable(printable(text)) == printable(text)
    assert printable(text).encode().decode() == printable(text)


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Cf", "Zl", "Zp"])))
def test_other_text_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


@given(st.dictionaries(st.text(), st.text() | st.lists(st.text())))
def test_json_stays_the_same_json(value: dict[str, Any]) -> None:
    for indent in (None, 2):
        shown = printable(json.dumps(value, ensure_ascii=False, indent=indent))
        assert harmless(shown)
        assert json.loads(shown) == value


@given(WILD)
def test_a_console_prints_tables_and_markdown_without_escapes(text: str) -> None:
    file = io.StringIO()
    console = PrintableConsole(file=file)
    table = Table(title=text)
    table.add_column(text)
    table.add_row(text)
    for shown in (table, Markdown(text, hyperlinks=False), text, f"[red]{text}"):
        console.print(shown)
    console.print(text, style="red", soft_wrap=True)
    assert harmless(file.getvalue())


@pytest.mark.parametrize("text", ESCAPES)
def test_a_terminal_gets_the_styles_of_ours_alone(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    file = io.StringIO()
    PrintableConsole(file=file).print(text, style="red", soft_wrap=True)
    assert file.getvalue().startswith("\x1b[31m")
    assert harmless(file.getvalue().replace("\x1b[31m", "").replace("\x1b[0m", ""))


@pytest.mark.parametrize("text", ESCAPES)
def test_what_commands_say_is_harmless(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    shared.say(text)
    shared.complain(text)
    shared.say_json(json.dumps([text], ensure_ascii=False))
    said = capsys.readouterr()
    assert harmless(said.out)
    assert harmless(said.err)
    assert "\\u" in said.out
    assert "\\u" in said.err


@pytest.mark.parametrize("text", ESCAPES)
def test_progress_says_a_servers_words_harmlessly(text: str, capfd: pytest.CaptureFixture[str]) -> None:
    shown = TerminalProgress()
    shown.say(f"the endpoint says {text}")
    with shown.bar(text, 1, "documents") as bar:
        bar.advance()
    said = capfd.readouterr().err
    assert "the endpoint says" in said
    assert harmless(said)


def test_the_name_of_a_prompt_file_is_printed_harmlessly(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from datashop_assets.cli import main

    (tmp_path / "\x1b]0;title\x07.yaml").write_text('name: "\\e[2J"\n')
    monkeypatch.setenv("DATASHOP_PROMPTS", str(tmp_path))
    monkeypatch.setenv("DATASHOP_ROOT", str(tmp_path / "root"))
    for command in (["prompts", "check"], ["status"], ["status", "--json"], ["run", "\x1b[2J"]):
        result = CliRunner().invoke(main, command)
        assert harmless(result.output), command


@given(WILD)
def test_a_report_that_is_piped_has_no_entities(text: str) -> None:
    assert unescaped(escaped(text)) == " ".join(text[:600].split())[:300] + (
        "…" if len(" ".join(text[:600].split())) > 300 else ""
    )
