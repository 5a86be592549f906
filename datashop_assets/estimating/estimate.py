"""What a prompt will cost, stage by stage, before it runs."""

from typing import Any

import orjson

from datashop_assets.estimating.beside import FILE, HOUR
from datashop_assets.estimating.history import expected_seconds, trained_tokens
from datashop_assets.estimating.intervals import Range
from datashop_assets.estimating.pilot import Pilot, to_ask
from datashop_assets.planning import Plan, Planned, State
from datashop_assets.prices import Prices
from datashop_assets.prompts.prompt import Prompt
from datashop_assets.storage.root import Root

Line = dict[str, Any]


def estimate(prompt: Prompt, plan: Plan, pilot: Pilot, root: Root, *, prices: Prices, hardware: str | None) -> Line:
    """`{"stages": {name: {...}}, "pilot": {...}}`, JSON values. A stage has `state`, `tokens`, `hours`, `money`,
    `hardware` and `from`; ranges are {value, low, high}, None where nothing is known. A current stage costs nothing.
    """
    documents = int(plan["pretraining_pool"].output.metrics["documents"])
    stages = {}
    for name, planned in plan.items():
        place, price = prices.of(name, hardware if name == "annotations" else None)
        if planned.state is State.CURRENT:
            line = _line(None, Range(0.0, 0.0, 0.0), "is there already")
        elif name == "annotations":
            line = _annotations(plan, pilot)
        else:
            line = _by_history(planned, root, documents, prompt.training.vocabulary)
        hours = line["hours"]
        money = None if hours is None else hours.times(price.price_per_hour).json()
        stages[name] = {"state": planned.state.value, **_json(line), "money": money, "hardware": place}
    said = {"documents": pilot.documents, "asked_now": pilot.asked, "tokens_per_second": pilot.tokens_per_second}
    return {"currency": prices.currency, "pilot": {**said, "pace": pilot.measured}, "stages": stages}


def keep(found: Line, slug: str, root: Root) -> None:
    """Beside the prompt, so that the assets can show it after the run."""
    root.prompt(slug).write(FILE, orjson.dumps(found, option=orjson.OPT_INDENT_2))


def _annotations(plan: Plan, pilot: Pilot) -> Line:
    tokens = pilot.tokens.times(to_ask(plan))
    pace = pilot.tokens_per_second
    return _line(
        tokens, tokens.times(1 / pace / HOUR) if pace else None, f"{pilot.documents} documents: {pilot.measured}"
    )


def _by_history(planned: Planned, root: Root, documents: int, vocabulary: int) -> Line:
    tokens = trained_tokens(planned.stage.name, planned.config, vocabulary)
    seconds, runs = expected_seconds(planned, root, documents, vocabulary)
    said = f"{runs} finished under this root" if runs else "never made under this root"
    known = Range(float(tokens), tokens, tokens) if tokens is not None else None
    return _line(known, seconds.times(1 / HOUR) if seconds else None, said)


def _line(tokens: Range | None, hours: Range | None, said: str) -> Line:
    return {"tokens": tokens, "hours": hours, "from": said}


def _json(line: Line) -> Line:
    return {name: value.json() if isinstance(value, Range) else value for name, value in line.items()}
