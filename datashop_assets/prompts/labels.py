"""The section `labels`."""

from typing import Annotated

from pydantic import Field

from datashop_assets.prompts.section import Section


class Labels(Section):
    """How scores become training labels."""

    positive_from: Annotated[float, Field(gt=0, le=5)] = 2.5
    balance: bool = True
