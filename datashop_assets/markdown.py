"""Tables for the UI."""

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table, its first column to the left and the others to the right. Cells must be escaped already."""
    sides = [":---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in (head, sides, *rows))


def bar(share: float, width: int = 30) -> str:
    """A bar as long as `share` of `width` blocks."""
    return "█" * round(share * width)
