"""What a training run is, from its settings alone. One dial, `depth`, sizes the model."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np

from datashop_assets.models.llama import LlamaConfig

WIDTH_A_LAYER = 32


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

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        return cls(**{field.name: config[field.name] for field in fields(cls)})

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

        Heads are 32 wide, from width 512 on 64; the feed-forward layer is 8/3 as wide as the model, as in LLaMA.
        """
        head = 32 if self.depth < 16 else 64
        heads = -(-WIDTH_A_LAYER * self.depth // head)
        width = heads * head
        return LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=width,
            intermediate_size=-(-width * 8 // 3 // 16) * 16,
            num_hidden_layers=self.depth,
            num_attention_heads=heads,
            num_key_value_heads=heads,
            head_dim=head,
            max_position_embeddings=self.length,
        )
