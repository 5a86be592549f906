"""How commands show their findings to people. Colour obeys NO_COLOR, as rich does."""

from collections.abc import Iterable

from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table
from rich.text import Text

from datashop_assets.doctor.finding import Finding

COLOURS = {"good": "green", "note": "yellow", "bad": "red"}


def markdown(text: str) -> None:
    Console().print(Markdown(text))


def findings(found: Iterable[Finding]) -> None:
    """One line a look, and the mend below what needs one."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for one in found:
        says = Text(one.says)
        if one.mend:
            says.append(f"\n{one.mend}", style="bold" if one.state == "bad" else "dim")
        table.add_row(one.name, Text(one.state, style=COLOURS[one.state]), says)
    Console().print(table)
