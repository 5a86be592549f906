"""Charts as SVG that stands inside a page: text stays text, and colours are the page's, light or dark.

matplotlib writes colours as hex numbers. Each name below has a number of its own, which is replaced by the page's
CSS variable of that name.
"""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, LINE, FIRST, SECOND, THIRD = (f"#0{n}0{n}0{n}" for n in range(1, 7))
VARIABLES = {INK: "ink", MUTED: "muted", LINE: "line", FIRST: "first", SECOND: "second", THIRD: "third"}
SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",  # text, not outlines: a third of the size, and it can be searched
    "text.parse_math": False,  # a source called `$x$` is a name
    "font.size": 9.0,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "legend.frameon": False,
}
REM = 6.6  # of the page's text to an inch of a chart: letters are as large in both
FONTS = re.compile(r" font-family: [^;]*;")  # thirteen of them on every text; the page names its own
OUTER = re.compile(r' (?:width|height)="[^"]*pt"')


class Drawing:
    """A chart being drawn: `axes` while it is, `svg` afterwards."""

    def __init__(self, axes: "Axes") -> None:
        self.axes = axes
        self.svg = Markup("")


@contextmanager
def drawing(name: str, width: float = 4.6, height: float = 2.9) -> Iterator[Drawing]:
    """A chart of `width` by `height` inches. `name` is read aloud and makes the ids unique."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    # A font without some sign is no fault: the reader's own font draws the text.
    with mpl.rc_context({**SETTINGS, "svg.hashsalt": name}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
        figure = Figure(figsize=(width, height), layout="constrained")
        made = Drawing(figure.add_subplot())
        yield made
        made.svg = _svg(figure, name)


def _svg(figure: "Figure", name: str) -> Markup:
    """The figure without its XML head, as wide as the page allows and no wider than drawn, its ids prefixed."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    head, rest = text.split(">", 1)
    label = Markup(' role="img" aria-label="{}" style="max-width: {:.1f}rem">').format(
        name, REM * figure.get_figwidth()
    )
    text = (
        OUTER.sub("", head) + str(label) + FONTS.sub("", re.sub(r"<metadata>.*?</metadata>", "", rest, flags=re.DOTALL))
    )
    prefix = re.sub(r"\W+", "-", name)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}-", text)
    for number, variable in VARIABLES.items():
        text = text.replace(number, f"var(--{variable})")
    return Markup(text)  # noqa: S704 - matplotlib escapes what it writes; the test with hostile names holds it
