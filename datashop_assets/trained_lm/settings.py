"""What a training run is, from its settings alone. One dial, `depth`, sizes the model and, if asked, its tokens."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

import numpy as np

from datashop_assets.models.llama.model import LlamaConfig

WIDTH_A_LAYER = 32
OPTIMAL = 20  # tokens a weight (Hoffmann et al., 2022, arXiv:2203.15556, table 3)


@dataclass(frozen=True)
class TrainingSettings:
    """The `training` section of a prompt, and what is derived from it."""

    depth: int
    length: int  # tokens a row
    batch: int  # rows a step
    steps: int
    seeds: int
    learning_rate: float
    warmup_fraction: float
    filtered_share: float
    query_group: int = 1
    tied: bool = True
    precision: str = "float32"
    recompute: str = "nothing"
    max_epochs: float = field(default=4.0, compare=False)  # refuses a run and changes none: one program serves all
    anneal: bool = False  # from a checkpoint, down to a learning rate of zero

    @classmethod
    def from_config(cls, config: Mapping[str, Any], vocabulary: int = 0) -> Self:
        """`vocabulary` is needed where `steps` is "optimal": the size of the model follows from both."""
        known = {each.name for each in fields(cls)}
        given = {name: value for name, value in config.items() if name in known}
        given |= {"depth": config.get("depth", 0), "anneal": config.get("checkpoint") is not None}
        if given["steps"] != "optimal":
            return cls(**given)
        sized = cls(**{**given, "steps": 1})
        tokens = OPTIMAL * sized.llama(vocabulary).parameters
        return cls(**{**given, "steps": -(-tokens // (sized.batch * sized.length))})

    @property
    def rows(self) -> int:
        return self.steps * self.batch

    @property
    def tokens(self) -> int:
        """Tokens that one model is trained on."""
        return self.rows * self.length

    @property
    def own_rows(self) -> np.ndarray:
        """Bool [rows]: which rows are of a model's own stream, exactly round(rows * filtered_share), spread evenly."""
        own, index = round(self.rows * self.filtered_share), np.arange(self.rows, dtype=np.int64)
        mine: np.ndarray = (index + 1) * own // self.rows > index * own // self.rows
        return mine

    def llama(self, vocabulary: int) -> LlamaConfig:
        """Layers and width from `depth`: 2 gives width 64 and, with 1,024 tokens, 166,000 weights.

        Heads are 32 wide, from width 512 on 64, from 1,024 on 128, which TPUs want; the feed-forward layer is 8/3 as
        wide as the model, as in LLaMA. Raises `ValueError` where `query_group` does not divide the heads.
        """
        head = 32 if self.depth < 16 else 64 if self.depth < 32 else 128
        heads = -(-WIDTH_A_LAYER * self.depth // head)
        if heads % self.query_group:
            raise ValueError(
                f"training.query_group {self.query_group} does not divide the {heads} heads that training.depth "
                f"{self.depth} gives; choose a divisor"
            )
        width = heads * head
        return LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=width,
            intermediate_size=-(-width * 8 // 3 // 16) * 16,
            num_hidden_layers=self.depth,
            num_attention_heads=heads,
            num_key_value_heads=heads // self.query_group,
            head_dim=head,
            tie_word_embeddings=self.tied,
            max_position_embeddings=self.length,
        )
