"""The encoder on an accelerator: documents packed into rows of one length, rows split over all devices.

One shape is compiled: `ROWS` rows a device of the longest length. What is left over is filled with empty rows.
"""

from collections.abc import Sequence
from functools import partial

import jax
import numpy as np
from numpy.typing import NDArray

from datashop_assets.models.bert import BertConfig, Weights, hidden, pooled
from datashop_assets.models.bert_weights import Bert
from datashop_assets.models.packing import Packed, pack
from datashop_assets.models.sharding import MeshShape, ShardingRules

ROWS = 32  # a device
SHORTEST = 8  # tokens: a row of T has room for T / 8 documents


class JaxEmbedder:
    """Pooled hidden states of token lists, computed in float32 whatever the device would rather do."""

    def __init__(self, bert: Bert, longest: int, rows: int = ROWS) -> None:
        devices = jax.devices()
        self._rules = ShardingRules(MeshShape(data=len(devices)).over(devices))
        self._length, self._rows = min(longest, bert.config.longest), rows * len(devices)
        self._weights = jax.device_put(dict(bert.weights), self._rules.sharding())
        self._most = max(1, self._length // SHORTEST)
        self._run = partial(pooled_rows, config=bert.config, pooling=bert.pooling, documents=self._most)
        self._width = bert.config.hidden_size

    def embed(self, documents: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Token lists -> [documents, D] float32."""
        packed = pack(documents, self._length, self._most)
        row, number = np.array(packed.places, dtype=np.int64).reshape(-1, 2).T
        found = np.zeros((len(documents), self._width), dtype=np.float32)
        for start in range(0, len(packed.tokens), self._rows):
            here = (row >= start) & (row < start + self._rows)
            found[here] = self._batch(packed, start)[row[here] - start, number[here]]
        return found

    def _batch(self, packed: Packed, start: int) -> NDArray[np.float32]:
        whole = np.zeros((3, self._rows, self._length), dtype=np.int32)
        for place, part in enumerate((packed.tokens, packed.positions, packed.segments)):
            rows = part[start : start + self._rows]
            whole[place, : len(rows)] = rows
        return np.asarray(self._run(self._weights, *jax.device_put(tuple(whole), self._rules.sharding("batch"))))


@partial(jax.jit, static_argnames=("config", "pooling", "documents"))
def pooled_rows(
    weights: Weights,
    tokens: jax.Array,
    positions: jax.Array,
    segments: jax.Array,
    *,
    config: BertConfig,
    pooling: str,
    documents: int,
) -> jax.Array:
    """tokens, positions, segments [B, T] -> the pooled vectors of each row's documents [B, N, D]."""
    with jax.default_matmul_precision("highest"):
        return pooled(hidden(weights, config, tokens, positions, segments), positions, segments, documents, pooling)
