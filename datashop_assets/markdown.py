"""Tables and texts for the UI."""

import html
import re
from collections.abc import Iterable, Sequence

CHARACTERS = 300  # of a document, where some are shown
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
