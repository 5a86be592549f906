"""The section `encoder`: the small model that learns the scores."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from datashop_assets.prompts.secrets import Address
from datashop_assets.prompts.section import Count, Section, Share

MINILM = "all-minilm-l6-v2"  # the encoder of the data packages; any other model is named by a path or URI
FASTTEXT = ("dimensions", "epochs", "learning_rate", "min_subword", "max_subword", "buckets")


class Transformer(Section):
    """A BERT-type encoder with a head on its pooled output."""

    model: Address = MINILM
    pooling: Literal["mean", "first"] | None = None  # None: as the model's folder says
    head: Literal["regression", "ordinal"] = "regression"
    tune: Literal["head", "all"] = "head"
    longest: Annotated[int, Field(ge=8, le=8192)] = 512  # tokens read; the model may read fewer
    epochs: Count | None = None
    learning_rate: Annotated[float, Field(gt=0, le=1)] | None = None
    batch: Count = 32

    def training(self) -> dict[str, Any]:
        """The recipe: FineWeb-Edu's for a head on a frozen encoder, BERT's usual one for all weights."""
        head = {"epochs": 20, "learning_rate": 3e-4, "schedule": "constant", "warmup_fraction": 0.0}
        every = {"epochs": 3, "learning_rate": 5e-5, "schedule": "cosine", "warmup_fraction": 0.1}
        said = {"epochs": self.epochs, "learning_rate": self.learning_rate, "batch": self.batch}
        return {**(head if self.tune == "head" else every), **{k: v for k, v in said.items() if v is not None}}


class Static(Section):
    """A small head on one embedding of the pool that serves every prompt."""

    model: Address = MINILM  # whose token vectors are averaged


class Cascade(Section):
    """fastText reads everything; the transformer reads the share that fastText ranks highest."""

    passes: Share = 0.25


class EncoderSettings(Section):
    """The small model that learns the scores."""

    kind: Literal["fasttext", "transformer", "static"] = "fasttext"
    calibration: Literal["platt", "isotonic", "best"] = "platt"  # best: the lower loss on labels out of fold
    dimensions: Annotated[int, Field(ge=2, le=1000)] = 16  # 4 and 64 reach the same AUC
    epochs: Annotated[int, Field(ge=1, le=1000)] = 5  # more where labels are few: models/fasttext/classifier.py
    learning_rate: Annotated[float, Field(gt=0, le=5)] = 0.5
    min_subword: Annotated[int, Field(ge=0, le=10)] = 3
    max_subword: Annotated[int, Field(ge=0, le=10)] = 5
    buckets: Annotated[int, Field(ge=1, le=10_000_000)] = 50_000
    transformer: Transformer = Transformer()
    static: Static = Static()
    cascade: Cascade | None = None

    @model_validator(mode="after")
    def _subwords_are_ordered(self) -> Self:
        if self.min_subword > self.max_subword:
            raise ValueError("min_subword exceeds max_subword; swap them, or set both to 0 for whole words only")
        return self

    @model_validator(mode="after")
    def _cascade_ends_in_a_transformer(self) -> Self:
        if self.cascade and self.kind != "transformer":
            raise ValueError(f"a cascade ends in a transformer, not in {self.kind}; set kind, or remove cascade")
        return self

    def config(self) -> dict[str, Any]:
        """What the named kind depends on and nothing else, so that an edit elsewhere trains nothing again."""
        found: dict[str, Any] = {"kind": self.kind, "calibration": self.calibration}
        if self.cascade:
            found["cascade"] = self.cascade.model_dump()
        if self.kind == "fasttext" or self.cascade:
            found |= {name: getattr(self, name) for name in FASTTEXT}
        if self.kind == "transformer":
            kept = self.transformer.model_dump(exclude={"epochs", "learning_rate", "batch"})
            found["transformer"] = {**kept, "training": self.transformer.training()}
        if self.kind == "static":
            found["static"] = self.static.model_dump()
        return found
