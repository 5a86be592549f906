"""The pages: templates filled with facts and charts. Every text of a document is escaped; nothing is fetched.

Each page names by a Content-Security-Policy what may run on it: on the card no script at all, on the browser the one
whose hash the policy holds. A text that got through the escaping would still not run.
"""

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from datashop_assets.core.status import Remark
from datashop_assets.data_card.facts import SourceRanking
from datashop_assets.filtered_pool.results import FilteredPoolResult
from datashop_assets.markdown import escaped
from datashop_assets.prompts.keep_settings import Keep
from datashop_assets.statistics.figure import Figure

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src {scripts}; "
    "base-uri 'none'; form-action 'none'"
)
# The hub's size categories: the name, and the number of documents it goes up to.
SIZES = {
    "n<1K": 1_000,
    "1K<n<10K": 10_000,
    "10K<n<100K": 100_000,
    "100K<n<1M": 1_000_000,
    "1M<n<10M": 10_000_000,
    "10M<n<100M": 100_000_000,
    "100M<n<1B": 1_000_000_000,
    "1B<n<10B": 10_000_000_000,
}
TILE = 30  # characters
# Of a prompt that is scored by rubric; `docs/prompts.md` has the figures.
RUBRIC_EVIDENCE = (
    "The annotator was asked by a rubric. Datashop has not shown that scores by a rubric say what the rubric asks for: "
    "no model that fits two cores was shown to rank documents by one better, against gold labels, than their source "
    "alone does, and larger models were not measured. What these scores are worth, this card has to show: agreement of "
    "the annotator with itself and with a second one, gold labels where the pool has any, the blind test, and the "
    "replies themselves."
)
Stored = Mapping[str, float | None]  # value, low, high


def card(
    facts: Mapping[str, Any],
    spent: Mapping[str, Any],
    charts: Mapping[str, Markup],
    said: Mapping[str, Any],
    *,
    remarks: Sequence[Remark],
    within: Sequence[SourceRanking],
) -> str:
    """The card. `said` is stage -> title -> Markdown, as the steps describe themselves; `remarks` are failed checks;
    `within` is what `facts.within_sources` gives.
    """
    policy = POLICY.format(scripts="'none'")
    return (
        _templates()
        .get_template("card.html")
        .render(
            **facts,
            spent=spent,
            charts=charts,
            said=said,
            remarks=remarks,
            within=within,
            style=_text("style.css"),
            policy=policy,
        )
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


def hub(facts: Mapping[str, Any], remarks: Sequence[Remark], within: Sequence[SourceRanking]) -> str:
    """The card as Markdown for a dataset hub, below its YAML head."""
    return _templates().get_template("card.md").render(**facts, head=hub_head(facts), remarks=remarks, within=within)


def hub_head(facts: Mapping[str, Any]) -> str:
    """The head with its fences. It claims no licence: that of a filtered pool is that of its documents."""
    prompt, filtered = facts["prompt"], facts["stages"][FilteredPoolResult.step]
    kept = filtered["metrics"]
    fields = {
        "pretty_name": prompt["name"],
        "task_categories": ["text-generation"],
        "tags": ["pretraining", "data-filtering", "datashop", prompt["slug"]],
        "size_categories": [size_category(kept["kept_documents"])],
        "datashop": {
            "filtered_pool": filtered["content_digest"],
            "annotator": prompt["annotator"]["model"],
            "encoder": prompt["encoder"].get("kind", ""),
            "kept_documents": kept["kept_documents"],
            "kept_bytes": kept["kept_bytes"],
        },
    }
    return f"---\n{yaml.safe_dump(fields, sort_keys=False, allow_unicode=True)}---"


def size_category(documents: int) -> str:
    return next((name for name, most in SIZES.items() if documents < most), "10B<n<100B")


def markdown(text: str) -> Markup:
    """Markdown as HTML. HTML inside it stays text, and links go nowhere but to pictures in the page."""
    return Markup(_markdown().render(text))  # noqa: S704 - the renderer escapes


def number(value: Any, digits: int = 3, sign: bool = False) -> str:
    """A figure as a person reads it; `n/a` where there is none."""
    if value is None:
        return "n/a"
    if isinstance(value, float):
        return f"{value:{'+' if sign else ''}.{digits}f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.3g}%" if whole else "n/a"


def took(seconds: float) -> str:
    """A duration in the unit that suits it."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def hours(found: Stored | None) -> str:
    """An estimate of hours as a duration with its interval."""
    return ranged(found, lambda value: took(value * 3600))


def amount(found: Stored | None) -> str:
    """An estimate of tokens or money with its interval."""
    return ranged(found, figure)


def figure(value: float | None) -> str:
    return "n/a" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def ranged(found: Stored | None, said: Callable[[float], str]) -> str:
    known = Figure.from_json(found)
    return "unknown" if known is None else known.text(said)


def interval(found: Stored | None) -> str:
    """A measured figure with its interval."""
    return "" if found is None else ranged(found, number)


def percent(part: float) -> str:
    return share(part, 1.0)


def pace(value: Any, name: str) -> str:
    """A measured pace or time, whose unit is in its name: `tokens_per_second`, `training_seconds`."""
    if name.endswith("_per_second"):
        return f"{figure(value)} {name.removesuffix('_per_second').replace('_', ' ')}/s"
    words = [word for word in name.split("_") if word != "seconds"]
    return f"{' '.join(words)} {took(value) if 'seconds' in name.split('_') else number(value)}"


def moment(finished_at: str) -> str:
    """`2026-11-26T08:02:08+00:00` to the minute."""
    return f"{finished_at[:16].replace('T', ' ')} UTC"


def rule(keep: Mapping[str, Any]) -> str:
    """The keep rule of a prompt file as a sentence's beginning."""
    return Keep.model_validate(keep).keep_rule.words


def beginning(text: str) -> str:
    """The name of a source, which may be an address, as far as it fits a tile."""
    return text if len(text) <= TILE else f"{text[:TILE]}…"


def cell(text: Any) -> str:
    """Text of others as one line of a Markdown table, where it is no markup."""
    return escaped(str(text))


FILTERS: dict[str, Callable[..., str]] = {
    one.__name__: one
    for one in (number, took, share, hours, amount, figure, cell, beginning, interval, percent, pace, moment, rule)
}


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
    made.globals["rubric_evidence"] = RUBRIC_EVIDENCE
    return made


@cache
def _text(name: str) -> Markup:
    return Markup((files("datashop_assets.data_card") / "templates" / name).read_text())  # noqa: S704 - of this package
