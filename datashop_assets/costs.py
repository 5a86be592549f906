"""What things cost: the price table, the last estimate of a prompt, and what a finished step took.

Below the steps: a budget in money is limited by the table's price, and the data card shows estimate and cost together.
How an estimate is made stands in `estimate`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, field_serializer, model_validator

from datashop_assets.asking.spending import HOUR, SpendingLimits
from datashop_assets.core.plan import State
from datashop_assets.core.step import AskingResult, StepOutput, StepResult
from datashop_assets.markdown import table
from datashop_assets.prompts.prompt import Prompt
from datashop_assets.prompts.section import Section
from datashop_assets.settings import Settings
from datashop_assets.shipped import shipped
from datashop_assets.statistics.figure import Figure
from datashop_assets.storage.folders import Folder
from datashop_assets.storage.root import Root

ESTIMATE_FILE = "estimate.json"  # beside the prompt under the root
SHIPPED = shipped("infra/prices.yaml")
ASKING_STAGE = "annotations"  # the stage by whose line of the table all that asks the annotator is priced
LEAST = 0.001  # smaller amounts are not told apart


class Hardware(Section):
    price_per_hour: Annotated[float, Field(ge=0)]
    tokens_per_second: Annotated[float, Field(gt=0)] | None = None  # that the annotator reads on it
    # stage -> work a second; what is counted as work stands in `paces.work`
    paces: Mapping[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)


class Prices(Section):
    """What the user pays for hardware by the hour, how fast it is, and which stage runs on which.

    `stages` maps a stage, or `default`, to a hardware. `within` is how many times faster or slower than stated a stage
    may be: it makes the interval of a stated pace.
    """

    currency: str
    within: Annotated[float, Field(ge=1)] = 3.0
    hardware: dict[str, Hardware]
    stages: dict[str, str]
    _file: Path = PrivateAttr(default=SHIPPED)

    @model_validator(mode="after")
    def _hardware_is_known(self) -> Self:
        unknown = {name for name in self.stages.values() if name not in self.hardware}
        if unknown or "default" not in self.stages:
            raise ValueError(f"stages names {sorted(unknown) or 'no default'}; hardware has {sorted(self.hardware)}")
        return self

    @classmethod
    def read(cls, file: Path = SHIPPED) -> Self:
        """Raises `ValueError` that names the file for one that cannot be read."""
        try:
            prices = cls.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
        except (OSError, yaml.YAMLError, ValidationError) as error:
            raise ValueError(f"{file}: {error}; correct it, or name another in DATASHOP_PRICES") from error
        prices._file = file
        return prices

    def of(self, stage: str, hardware: str | None = None) -> tuple[str, Hardware]:
        """Name and price of what a stage runs on. Raises `ValueError` for hardware that is not in the table."""
        name = hardware or self.stages.get(stage, self.stages["default"])
        if name not in self.hardware:
            raise ValueError(f"no hardware {name!r} in {self._file}; it has {', '.join(self.hardware)}")
        return name, self.hardware[name]


def prices_file(settings: Settings) -> Path:
    """The file that `DATASHOP_PRICES` names, else the one that comes with Datashop."""
    return Path(settings.prices) if settings.prices else SHIPPED


def budget_limits(prompt: Prompt, prices: Path | None) -> SpendingLimits:
    """What a prompt lets the answers to one question cost; `prices` is the file of the price table, None the shipped.

    Raises `ValueError` for hardware that the price table does not have.
    """
    if (budget := prompt.annotator.budget) is None:
        return SpendingLimits()
    price = None
    if budget.money is not None:
        price = Prices.read(prices or SHIPPED).of(ASKING_STAGE, budget.hardware)[1].price_per_hour
    return SpendingLimits(budget.tokens, budget.hours, budget.money, price)


class StageEstimate(BaseModel):
    """What one stage will take; a figure is None where nothing is known of it, and `source` says what it is known from.

    Hours and money of a stage that is current are 0. `saved` is what reuse saves: a stage, or answers, that are there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True, validate_by_name=True)
    state: State
    tokens: Figure | None
    hours: Figure | None
    money: Figure | None
    saved_tokens: Figure | None = None
    saved_hours: Figure | None = None
    hardware: str
    price_per_hour: float
    source: str = Field(alias="from")

    @field_serializer("tokens", "hours", "money", "saved_tokens", "saved_hours")
    def _as_json(self, figure: Figure | None) -> dict[str, float | None] | None:
        return None if figure is None else figure.as_json()


class PilotSummary(BaseModel):
    """What the estimate of the annotator's tokens rests on; `asked_now` of the documents had no answer before."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    documents: int
    asked_now: int
    tokens_per_second: float | None
    pace: str  # how it is known


class VisibleDifference(BaseModel):
    """The smallest difference that the comparison's seeds find with 80% power; None where one seed finds none."""

    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True, validate_by_name=True)
    measure: str
    difference: float | None  # bits per byte
    source: str = Field(alias="from")  # how the spread of the seeds is known


class Estimate(BaseModel):
    """The estimate of a prompt, by stage, and what its comparison will be able to see."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    currency: str
    pilot: PilotSummary
    stages: dict[str, StageEstimate]
    visible: list[VisibleDifference] = []

    def keep(self, slug: str, root: Root) -> None:
        """Beside the prompt, so that assets and card can show it after the run."""
        root.prompt(slug).write(ESTIMATE_FILE, self.model_dump_json(indent=2).encode())


def last_estimate(folder: Folder) -> Estimate | None:
    """The last one that was made of the prompt of this folder; None where none was, or by another version of Datashop.

    The folder is `Root.prompt(slug)`.
    """
    if not folder.exists(ESTIMATE_FILE):
        return None
    try:
        return Estimate.model_validate_json(folder.read(ESTIMATE_FILE))
    except ValidationError:
        return None


def seconds_spent(output: StepOutput[StepResult]) -> float:
    """Seconds of the run that finished a stage; of all its runs, where its result counts them."""
    return max(output.manifest.seconds, output.result.seconds_of_all_runs() or 0.0)


def beside_estimate(output: StepOutput[StepResult], slug: str, root: Root) -> dict[str, str]:
    """Title -> Markdown: the last estimate of a stage beside what it took; nothing where none was made.

    An estimate that was made when the stage was current says nothing of what it takes.
    """
    estimate = last_estimate(root.prompt(slug))
    stage = estimate.stages.get(output.manifest.stage) if estimate else None
    if estimate is None or stage is None or stage.state is State.CURRENT:
        return {}
    hours = seconds_spent(output) / HOUR
    rows = [
        ("tokens", stage.tokens, output.result.tokens_spent()),
        ("hours", stage.hours, hours),
        (estimate.currency, stage.money, hours * stage.price_per_hour),
    ]
    shown = [(title, amount(expected), number(spent)) for title, expected, spent in rows]
    return {"estimate and spent": table((f"on {stage.hardware}", "estimate", "spent"), shown)}


def tokens_said(output: StepOutput[StepResult]) -> dict[str, str]:
    """Title -> Markdown: the tokens of a step that asked, what is estimated of them, and what failed calls took."""
    spent = output.result.spent if isinstance(output.result, AskingResult) else None
    return {} if spent is None else {"tokens": spent.sentences()}


def amount(figure: Figure | None) -> str:
    """A figure with its interval as text; `unknown` where there is none."""
    return "unknown" if figure is None else figure.text(number)


def number(value: float | None) -> str:
    if not value:
        return "unknown" if value is None else "0"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}" if value >= LEAST else f"< {LEAST}"
