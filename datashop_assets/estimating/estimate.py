"""What a prompt will cost, stage by stage, before it runs."""

from dataclasses import dataclass
from typing import Any

import orjson

from datashop_assets.core.plan import Plan, PlannedStep, State
from datashop_assets.estimating.asking import asked_tokens
from datashop_assets.estimating.beside import FILE, HOUR
from datashop_assets.estimating.history import expected_seconds
from datashop_assets.estimating.pilot import Pilot
from datashop_assets.estimating.prices import Prices
from datashop_assets.estimating.work import trained_tokens, work
from datashop_assets.prompts.prompt import Prompt
from datashop_assets.statistics.figure import Figure
from datashop_assets.storage.root import Root

Line = dict[str, Any]
ANNOTATOR = "annotations"  # where it runs, all that asks it does


@dataclass(frozen=True)
class Estimate:
    """All that an estimate is made from; `hardware` is what the annotator runs on, None as the price table says."""

    prompt: Prompt
    plan: Plan
    pilot: Pilot
    root: Root
    prices: Prices
    hardware: str | None = None

    def made(self) -> Line:
        """`{"stages": {name: {...}}, "pilot": {...}}`, JSON values. A stage has `state`, `tokens`, `hours`, `money`,
        `hardware`, `price_per_hour` and `from`; ranges are {value, low, high}, None where nothing is known.
        """
        pilot = self.pilot
        said = {"documents": pilot.documents, "asked_now": pilot.asked, "tokens_per_second": pilot.tokens_per_second}
        stages = {name: self._stage(planned) for name, planned in self.plan.items()}
        return {"currency": self.prices.currency, "pilot": {**said, "pace": pilot.measured}, "stages": stages}

    def _stage(self, planned: PlannedStep) -> Line:
        name = planned.step.name
        asked = asked_tokens(name, self.plan, self.pilot)
        place, price = self.prices.of(ANNOTATOR if asked else name, self.hardware if asked else None)
        tokens, hours, said = self._line(planned, place, asked)
        money = hours and hours.times(price.price_per_hour)
        ranges = {"tokens": tokens, "hours": hours, "money": money}
        found = {what: None if value is None else value.as_json() for what, value in ranges.items()}
        cost = {"hardware": place, "price_per_hour": price.price_per_hour}
        return {"state": planned.state.value, **found, **cost, "from": said}

    def _line(self, planned: PlannedStep, place: str, asked: Figure | None) -> tuple[Figure | None, Figure | None, str]:
        """Tokens, hours, and what they are known from."""
        if planned.state is State.CURRENT:
            return None, Figure.exact(0.0), "is there already"
        if asked is None:
            seconds, said = self._seconds(planned, place)
            tokens = trained_tokens(planned.step.name, planned.config, self._vocabulary)
            return None if tokens is None else Figure.exact(tokens), seconds and seconds.times(1 / HOUR), said
        pace = self.pilot.tokens_per_second
        said = f"{self.pilot.documents} documents: {self.pilot.measured}"
        return asked, asked.times(1 / pace / HOUR) if pace else None, said

    def _seconds(self, planned: PlannedStep, place: str) -> tuple[Figure | None, str]:
        """From finished stages under this root, else from the pace that the price table states for this hardware."""
        name = planned.step.name
        documents = int(self.plan["pretraining_pool"].output.metrics["documents"])
        amount = work(name, planned.config, documents, self._vocabulary)
        if not amount:
            return Figure.exact(0.0), "is not asked for"
        seconds, runs = expected_seconds(planned, self.root, documents, self._vocabulary)
        if seconds is not None:
            return seconds, f"{runs} made here"
        if (pace := self.prices.hardware[place].paces.get(name)) is None:
            return None, f"never made under this root, and {place} states no pace for it"
        return Figure.within_factor(
            amount / pace, self.prices.within
        ), f"stated for {place}, within a factor {self.prices.within:g}"

    @property
    def _vocabulary(self) -> int:
        return self.prompt.training.vocabulary


def keep(found: Line, slug: str, root: Root) -> None:
    """Beside the prompt, so that the assets can show it after the run."""
    root.prompt(slug).write(FILE, orjson.dumps(found, option=orjson.OPT_INDENT_2))
