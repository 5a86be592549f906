"""The section `encoder`: the small model that learns the scores.

Each kind has a configuration of its own, with what that kind depends on and nothing else, so that an edit elsewhere in
the section trains nothing again.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from datashop_assets.excerpts import Part
from datashop_assets.prompts.section import Address, Characters, Count, Section, SectionConfig, Share

MINILM = "all-minilm-l6-v2"  # the encoder of the data packages; any other model is named by a path or URI
Pooling = Literal["mean", "first"]
Head = Literal["regression", "ordinal"]
Tune = Literal["head", "all"]
Calibration = Literal["platt", "isotonic", "best"]


class TransformerTraining(SectionConfig):
    """How a transformer is tuned. The defaults are FineWeb-Edu's recipe for a head, and BERT's for all weights."""

    epochs: int
    learning_rate: float
    schedule: Literal["constant", "cosine"]
    warmup_fraction: float
    batch: int


class Transformer(Section):
    """A BERT-type encoder with a head on its pooled output."""

    model: Address = MINILM
    pooling: Pooling | None = None  # None: as the model's folder says
    head: Head = "regression"
    tune: Tune = "head"
    longest: Annotated[int, Field(ge=8, le=8192)] = 512  # tokens of a window; the model may read fewer
    windows: Annotated[int, Field(ge=1, le=100)] = 4  # of a longer text, evenly spaced, whose scores are averaged
    epochs: Count | None = None  # None: 20 for a head, 3 for all weights
    learning_rate: Annotated[float, Field(gt=0, le=1)] | None = None  # None: 3e-4 for a head, 5e-5 for all weights
    batch: Count = 32

    @property
    def training_config(self) -> TransformerTraining:
        """The recipe: FineWeb-Edu's for a head on a frozen encoder, BERT's usual one for all weights."""
        head = self.tune == "head"
        return TransformerTraining(
            epochs=self.epochs or (20 if head else 3),
            learning_rate=self.learning_rate or (3e-4 if head else 5e-5),
            schedule="constant" if head else "cosine",
            warmup_fraction=0.0 if head else 0.1,
            batch=self.batch,
        )

    def training(self) -> dict[str, Any]:
        """`training_config` as JSON."""
        return self.training_config.model_dump(mode="json")


class Static(Section):
    """A small head on the mean of a model's token vectors, and on a document's words."""

    model: Address = MINILM  # whose token vectors are averaged
    words: bool | None = None  # None: unless embed_pool is true, whose vectors hold no words
    embed_pool: bool = False  # keep a vector of every document of the pool, for all prompts that score by it

    @model_validator(mode="after")
    def _vectors_hold_no_words(self) -> Self:
        if self.words and self.embed_pool:
            raise ValueError("with embed_pool documents are scored by their vectors alone; remove words or embed_pool")
        return self

    @property
    def reads_words(self) -> bool:
        return not self.embed_pool if self.words is None else self.words


class EncoderCascade(Section):
    """fastText reads everything; the transformer reads the share that fastText ranks highest."""

    passes: Share = 0.25


class TransformerConfig(SectionConfig):
    """A transformer with its recipe resolved."""

    model: str
    pooling: Pooling | None
    head: Head
    tune: Tune
    longest: int
    windows: int
    training: TransformerTraining


class EncoderKindConfig(SectionConfig):
    """What the graph must know of a kind, beside what the kind depends on."""

    @property
    def pretrained(self) -> str | None:
        """The pretrained model that training begins with; None for a kind that learns from the labels alone."""
        return None

    @property
    def pool_embedding(self) -> str | None:
        """The model whose vectors of the pool (`pool_embeddings`) are scored; None for a kind that reads texts."""
        return None


class FastTextParameters(SectionConfig):
    """What fastText is trained with."""

    dimensions: int
    epochs: int
    learning_rate: float
    min_subword: int
    max_subword: int
    buckets: int


class FastTextConfig(FastTextParameters, EncoderKindConfig):
    kind: Literal["fasttext"] = "fasttext"
    calibration: Calibration


class StaticConfig(EncoderKindConfig):
    kind: Literal["static"] = "static"
    calibration: Calibration
    static: Static

    @property
    def pretrained(self) -> str:
        return self.static.model

    @property
    def pool_embedding(self) -> str | None:
        return self.static.model if self.static.embed_pool else None


class TransformerEncoderConfig(EncoderKindConfig):
    kind: Literal["transformer"] = "transformer"
    calibration: Calibration
    transformer: TransformerConfig

    @property
    def pretrained(self) -> str:
        return self.transformer.model


class CascadeEncoderConfig(FastTextParameters, EncoderKindConfig):
    """fastText first, then a transformer: `kind` names the last, and `cascade` is there."""

    kind: Literal["transformer"] = "transformer"
    calibration: Calibration
    cascade: EncoderCascade
    transformer: TransformerConfig

    @property
    def pretrained(self) -> str:
        return self.transformer.model


def _tag(config: Any) -> str | None:
    """Tells a cascade from a transformer alone, which are of one `kind`."""
    if isinstance(config, dict):
        return "cascade" if "cascade" in config else config.get("kind")
    return "cascade" if isinstance(config, CascadeEncoderConfig) else getattr(config, "kind", None)


EncoderConfig = Annotated[
    Annotated[FastTextConfig, Tag("fasttext")]
    | Annotated[StaticConfig, Tag("static")]
    | Annotated[TransformerEncoderConfig, Tag("transformer")]
    | Annotated[CascadeEncoderConfig, Tag("cascade")],
    Discriminator(_tag),
]


class EncoderSettings(Section):
    """The small model that learns the scores."""

    kind: Literal["fasttext", "transformer", "static"] = "static"
    read_characters: Characters | None = None  # of each document; None: all of it
    reading: Part = "head"  # of a longer one: the beginning, or beginning, middle and end
    calibration: Calibration = "platt"  # best: the lower loss on labels out of fold
    dimensions: Annotated[int, Field(ge=2, le=1000)] = 16  # 4 and 64 reach the same AUC
    epochs: Annotated[int, Field(ge=1, le=1000)] = 5  # more where labels are few: `models/fasttext`
    learning_rate: Annotated[float, Field(gt=0, le=5)] = 0.5
    min_subword: Annotated[int, Field(ge=0, le=10)] = 3
    max_subword: Annotated[int, Field(ge=0, le=10)] = 5
    buckets: Annotated[int, Field(ge=1, le=10_000_000)] = 50_000
    transformer: Transformer = Transformer()
    static: Static = Static()
    cascade: EncoderCascade | None = None

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

    @property
    def encoder_config(self) -> EncoderConfig:
        """What the named kind depends on."""
        fasttext = self.model_dump(include=set(FastTextParameters.model_fields))
        if self.kind == "fasttext":
            return FastTextConfig(calibration=self.calibration, **fasttext)
        if self.kind == "static":
            return StaticConfig(calibration=self.calibration, static=self.static)
        transformer = TransformerConfig(
            **self.transformer.model_dump(exclude={"epochs", "learning_rate", "batch"}),
            training=self.transformer.training_config,
        )
        if self.cascade:
            return CascadeEncoderConfig(
                calibration=self.calibration, cascade=self.cascade, transformer=transformer, **fasttext
            )
        return TransformerEncoderConfig(calibration=self.calibration, transformer=transformer)

    def config(self) -> dict[str, Any]:
        """`encoder_config` as JSON."""
        return self.encoder_config.model_dump(mode="json")
