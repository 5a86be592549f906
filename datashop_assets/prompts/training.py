"""The section `training`: the language models that are compared."""

from typing import Annotated

from pydantic import Field

from datashop_assets.prompts.section import Count, Section, Share


class Training(Section):
    """The language models: a candidate on the kept documents beside a control without them."""

    depth: Annotated[int, Field(ge=1, le=48)] = 2
    vocabulary: Annotated[int, Field(ge=300, le=200_000)] = 1024
    length: Annotated[int, Field(ge=16, le=131_072)] = 128
    batch: Count = 8
    steps: Count = 200
    seeds: Annotated[int, Field(ge=1, le=100)] = 5
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.006
    warmup_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.1
    filtered_share: Share = 0.3
