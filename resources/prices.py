"""What hardware costs by the hour: budgets in money go by it. `datashop estimate` reads the same file."""

from pathlib import Path

import dagster as dg
from pydantic import Field


class PriceTable(dg.ConfigurableResource[Path]):
    """The file of the prices of hardware. Steps that ask get its path."""

    file: str = Field(description="A YAML file in the form of infra/prices.yaml, which comes with Datashop")

    def create_resource(self, context: dg.InitResourceContext) -> Path:  # noqa: ARG002
        return Path(self.file)
