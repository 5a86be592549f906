"""The section `training`: the language models that are compared."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from datashop_assets.prompts.secrets import Address
from datashop_assets.prompts.section import Count, Section, Share


class Training(Section):
    """The language models: a candidate on the kept documents beside a control without them.

    From scratch, `depth` is the one dial for size, and `steps: optimal` gives 20 tokens a weight (Hoffmann et al.,
    2022, arXiv:2203.15556). With `anneal_from` a checkpoint is trained on instead: its size, its tokenizer, and a
    learning rate that falls linearly to zero; `depth`, `vocabulary`, `query_group` and `tied` then have no say.
    """

    depth: Annotated[int, Field(ge=1, le=80)] = 2
    vocabulary: Annotated[int, Field(ge=300, le=200_000)] = 1024
    query_group: Count = 1  # query heads that share a key head
    tied: bool = True  # one matrix for reading and for predicting tokens
    # a Hugging Face folder, or smollm2-135m-instruct
    anneal_from: Annotated[Address, Field(min_length=1)] | None = None
    length: Annotated[int, Field(ge=16, le=131_072)] = 128
    batch: Count = 8
    steps: Count | Literal["optimal"] = 200
    seeds: Annotated[int, Field(ge=1, le=100)] = 5
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.006
    warmup_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.1
    filtered_share: Share = 0.3
    max_epochs: Annotated[float, Field(gt=0, le=100)] = 4.0  # over the kept documents; more gains little
    matched_control: bool = True
    decontamination_words: Annotated[int, Field(ge=5, le=50)] = 13
    precision: Literal["float32", "bfloat16"] = "float32"  # of the arithmetic: weights at rest are float32
    recompute: Literal["nothing", "all but products", "layers"] = "nothing"  # in the backward pass, to save memory

    @model_validator(mode="after")
    def _steps_of_a_checkpoint(self) -> Self:
        if self.anneal_from is not None and self.steps == "optimal":
            raise ValueError("steps: optimal is for training from scratch; give a number beside anneal_from")
        return self
