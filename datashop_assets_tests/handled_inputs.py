"""Inputs with what must come of them: one table for the tests that assert it and for the page that people read.

A table stands in a module beside its tests (`asking/reply_examples.py`), which take their cases from `examples`. The
pages are listed in `documentation/handled_pages.py`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Expected_co = TypeVar("Expected_co", covariant=True)


@dataclass(frozen=True)
class Example(Generic[Expected_co]):
    """One input, what the test expects of it, and how the page says so."""

    given: str  # shown as it stands, with escapes for what cannot be seen
    expected: Expected_co
    shown: str  # Markdown of one line


@dataclass(frozen=True)
class Table(Generic[Expected_co]):
    """Inputs of one kind. `about` says in a sentence or two how that kind is handled."""

    title: str
    about: str
    examples: Sequence[Example[Expected_co]]
    head: tuple[str, str] = ("input", "result")
    quoted: bool = True  # whether what is given stands as code, to the letter


@dataclass(frozen=True)
class Page:
    """A page of `docs/`, made from tables alone."""

    name: str  # such as "replies.md"
    title: str
    about: str
    tables: Sequence[Table[object]]
    module: str  # where the tables are


def markdown(page: Page) -> str:
    """The page's text. It says where it comes from, so that nobody edits it by hand."""
    note = f"<!-- Made from {page.module} by `python -m datashop_assets_tests.documentation.handled_pages`. -->"
    return "\n\n".join([f"# {page.title}", note, page.about, *map(_section, page.tables)]) + "\n"


def _section(table: Table[object]) -> str:
    write = _code if table.quoted else _escaped
    rows = [f"| {write(one.given)} | {_escaped(one.shown)} |" for one in table.examples]
    lines = [f"| {' | '.join(table.head)} |", "| --- | --- |", *rows]
    return "\n\n".join([f"## {table.title}", table.about, "\n".join(lines)])


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def _code(text: str) -> str:
    """`text` as code in a cell: on one line, backticks inside longer ones, bars escaped."""
    line = json.dumps(text, ensure_ascii=False)[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    ticks = "`"
    while ticks in line:
        ticks += "`"
    space = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{ticks}{space}{line}{space}{ticks}".replace("|", "\\|")
