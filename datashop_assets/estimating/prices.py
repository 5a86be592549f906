"""The price table: what the user pays for hardware by the hour, how fast it is, and which stage runs on which."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from datashop_assets.prompts.section import Section
from datashop_assets.settings import read_settings
from datashop_assets.shipped import shipped


class Hardware(Section):
    price_per_hour: Annotated[float, Field(ge=0)]
    tokens_per_second: Annotated[float, Field(gt=0)] | None = None  # that the annotator reads on it
    # stage -> work a second; what is counted as work stands in `estimating.work`
    paces: Mapping[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)


class Prices(Section):
    """One price table. `stages` maps a stage, or `default`, to a hardware.

    `within` is how many times faster or slower than stated a stage may be: it makes the interval of a stated pace.
    """

    currency: str
    within: Annotated[float, Field(ge=1)] = 3.0
    hardware: dict[str, Hardware]
    stages: dict[str, str]

    @model_validator(mode="after")
    def _hardware_is_there(self) -> Self:
        unknown = {name for name in self.stages.values() if name not in self.hardware}
        if unknown or "default" not in self.stages:
            raise ValueError(f"stages names {sorted(unknown) or 'no default'}; hardware has {sorted(self.hardware)}")
        return self

    def of(self, stage: str, hardware: str | None = None) -> tuple[str, Hardware]:
        """Name and price of what a stage runs on. Raises `ValueError` for hardware that is not in the table."""
        name = hardware or self.stages.get(stage, self.stages["default"])
        if name not in self.hardware:
            raise ValueError(f"no hardware {name!r} in {prices_file()}; it has {', '.join(self.hardware)}")
        return name, self.hardware[name]


def prices_file() -> Path:
    """The file that `DATASHOP_PRICES` names, else the `infra/prices.yaml` that comes with Datashop."""
    return Path(read_settings().prices or shipped("infra/prices.yaml"))


def prices() -> Prices:
    """Raises `ValueError` that names the file for one that cannot be read."""
    try:
        return Prices.model_validate(yaml.safe_load(prices_file().read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise ValueError(f"{prices_file()}: {error}; correct it, or name another in DATASHOP_PRICES") from error
