"""The pages: templates filled with facts and charts. Every text of a document is escaped; nothing is fetched.

Each page names by a Content-Security-Policy what may run on it: on the card no script at all, on the browser the one
whose hash the policy holds. A text that got through the escaping would still not run.
"""

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from datashop_assets.data_card.wording import FILTERS

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src {scripts}; "
    "base-uri 'none'; form-action 'none'"
)


def card(
    facts: Mapping[str, Any], spent: Mapping[str, Any], charts: Mapping[str, Markup], said: Mapping[str, Any]
) -> str:
    """The card. `said` is stage -> title -> Markdown, as the rooms describe themselves."""
    policy = POLICY.format(scripts="'none'")
    return (
        _templates()
        .get_template("card.html")
        .render(**facts, spent=spent, charts=charts, said=said, style=_text("style.css"), policy=policy)
    )


def browser(facts: Mapping[str, Any], payload: str) -> str:
    """The page on which documents are browsed; `payload` is what `Browsed.payload` gives."""
    script = _text("documents.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        _templates()
        .get_template("documents.html")
        .render(
            **facts,
            payload=Markup(payload),  # noqa: S704 - base64
            script=Markup(script),  # noqa: S704 - a file of this package
            style=_text("style.css"),
            policy=POLICY.format(scripts=f"'sha256-{digest}'"),
        )
    )


def hub(facts: Mapping[str, Any], head: str) -> str:
    """The card as Markdown for a dataset hub, below its YAML head."""
    return _templates().get_template("card.md").render(**facts, head=head)


def markdown(text: str) -> Markup:
    """Markdown as HTML. HTML inside it stays text, and links go nowhere but to pictures in the page."""
    return Markup(_markdown().render(text))  # noqa: S704 - the renderer escapes


@cache
def _markdown() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False}).enable("table").disable(["link", "autolink"])
    made.validateLink = lambda url: url.startswith("data:image/png;base64,")  # type: ignore[method-assign]
    return made


@cache
def _templates() -> Environment:
    made = Environment(
        loader=PackageLoader("datashop_assets.data_card"),
        autoescape=lambda name: not (name or "").endswith(".md"),  # noqa: S701 - Markdown has a filter, `cell`
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"markdown": markdown, **FILTERS}
    return made


@cache
def _text(name: str) -> Markup:
    return Markup((files("datashop_assets.data_card") / "templates" / name).read_text())  # noqa: S704 - of this package
