"""The last estimate of a stage beside what it took."""

from collections.abc import Mapping
from typing import Any

import orjson

from datashop_assets.markdown import table
from datashop_assets.statistics.figure import Figure
from datashop_assets.storage.root import Root

FILE = "estimate.json"
HOUR = 3600.0
LEAST = 0.001  # what is smaller is not told apart


def beside(slug: str, name: str, root: Root, metrics: Mapping[str, Any], seconds: float) -> dict[str, str]:
    """Title -> Markdown: the last estimate of a stage beside what it took; nothing where none was made."""
    folder = root.prompt(slug)
    found = orjson.loads(folder.read(FILE)) if folder.exists(FILE) else {"stages": {}}
    line = found["stages"].get(name)
    if line is None or line["state"] == "current":
        return {}
    hours = seconds / HOUR
    spent = {
        "tokens": sum(metrics.get(one) or 0 for one in ("tokens_in", "tokens_out")) or None,
        "hours": hours,
        "money": hours * line.get("price_per_hour", 0.0),
    }
    named = {"tokens": "tokens", "hours": "hours", "money": found["currency"]}
    rows = [(title, shown(line[what]), number(spent[what])) for what, title in named.items()]
    return {"estimate and spent": table((f"on {line['hardware']}", "estimate", "spent"), rows)}


def shown(found: Mapping[str, float | None] | None) -> str:
    """A range as text; `unknown` where there is none."""
    figure = Figure.from_json(found)
    return "unknown" if figure is None else figure.text(number)


def number(value: float | None) -> str:
    if not value:
        return "unknown" if value is None else "0"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}" if value >= LEAST else f"< {LEAST}"
