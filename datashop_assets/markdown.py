"""Tables and texts for the UI and the terminal. What others wrote is shown as it is and does nothing there."""

import html
import re
from collections.abc import Iterable, Sequence

from pydantic import BaseModel, ConfigDict

from datashop_assets.printable import printable

CHARACTERS = 300  # of a document, where some are shown
WIDTH = 120  # characters of a cell in the terminal
LONG = 40  # characters; what is longer has a line of its own in the terminal
MARKS = re.compile(r"([\\`*_{}\[\]()#+!|~$])")


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table, its first column to the left and the others to the right. Cells must be escaped already."""
    sides = [":---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in (head, sides, *rows))


def bar(share: float, width: int = 30) -> str:
    """A bar as long as `share` of `width` blocks."""
    return "█" * round(share * width)


def evenly(length: int, most: int) -> list[int]:
    """Up to `most` places in a sequence of `length`, from one end to the other."""
    count = min(most, length)
    return [round(place * (length - 1) / max(1, count - 1)) for place in range(count)]


def escaped(text: str, characters: int = CHARACTERS) -> str:
    """The beginning of a text as one line that Markdown and HTML show as it is."""
    line = " ".join(text[: 2 * characters].split())
    cut = line if len(line) <= characters else f"{line[:characters]}…"
    return MARKS.sub(r"\\\1", html.escape(cut, quote=False))


def unescaped(markdown: str) -> str:
    """Markdown whose texts were `escaped`, as a person reads it who sees it without a renderer."""
    return html.unescape(re.sub(rf"\\{MARKS.pattern}", r"\1", markdown))


def one_line(text: str, characters: int = CHARACTERS) -> str:
    """The beginning of a text as one line, with what a terminal would obey written out."""
    line = " ".join(text[: 2 * characters].split())
    return printable(line if len(line) <= characters else f"{line[:characters]}…")


class Sample(BaseModel):
    """Some rows of an output, to look at. Cells are as they were found: `markdown` and `lines` make them harmless."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        """A Markdown table, its columns to the left."""
        body = (f"| {' | '.join(escaped(one_line(cell)) for cell in row)} |" for row in self.rows)
        return "\n".join([f"| {' | '.join(self.columns)} |", f"|{' --- |' * len(self.columns)}", *body])

    def lines(self) -> list[str]:
        """For a terminal: of each row the short cells in one line, and a line for each long one."""
        return [line for row in self.rows for line in self._lines(row)]

    def _lines(self, row: Sequence[str]) -> list[str]:
        cells = [(name, one_line(cell, WIDTH)) for name, cell in zip(self.columns, row, strict=True) if cell]
        short = ", ".join(f"{name} {cell}" for name, cell in cells if len(cell) <= LONG)
        return [short, *(f"  {name}: {cell}" for name, cell in cells if len(cell) > LONG)]


def joined(samples: Iterable[Sample]) -> list[Sample]:
    """The same samples without the rows that an earlier one has, and those that are then empty left out."""
    seen: set[tuple[str, ...]] = set()
    left = []
    for sample in samples:
        if rows := tuple(row for row in sample.rows if row not in seen):
            left.append(sample.model_copy(update={"rows": rows}))
        seen.update(rows)
    return left
