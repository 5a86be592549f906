"""BERT-type encoders in JAX: BERT, MiniLM, bge, arctic-embed, e5 and RoBERTa layouts, gte-v1.5, ModernBERT.

Several documents share a row and do not see each other: attention is masked by segment, so that rows are packed instead
of padded. A local layer computes blocks of a window's size against their neighbours, not the whole square. Layers are
stacked and scanned. There is no dropout: tuning is deterministic given its order of documents. What differs between the
architectures is data (`config.py`).

`JaxEmbedder` runs it on accelerators, with rows split over all devices; on CPUs `onnx_graph.py` is faster.

Letters in shapes: B batch, T tokens, N documents a row, D hidden width, H heads, L layers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from datashop_assets.models.bert.config import BertConfig, Rotary
from datashop_assets.models.bert.names import GATE, INNER, KEY, QUERY, VALUE, Tensors
from datashop_assets.models.packing import PackedRows, pack
from datashop_assets.models.sharding import MeshShape, ShardingRules

Weights = Mapping[str, Any]  # tensors by their name in `BertModel`; those of layers stacked: `layer.output.dense.bias`
State = tuple[jax.Array, jax.Array]  # what is carried on, and its norm, which is read; without `pre_norm` the same
Turns = tuple[jax.Array, jax.Array]  # cosines and sines of rotary positions, [B, T, 1, d / 2]
MASKED = -1e30
ROWS = 32  # a device, of 512 tokens; of longer ones fewer, because attention grows with the square
TOKENS = ROWS * 512
SHORTEST = 8  # tokens: a row of T has space for T / 8 documents


@dataclass(frozen=True)
class Bert:
    """An encoder: sizes, tensors (those of layers stacked), tokenizer, and how its authors pool: `mean` or `first`."""

    config: BertConfig
    weights: Tensors
    tokenizer: Tokenizer
    pooling: str

    def with_weights(self, weights: Mapping[str, Any]) -> "Bert":
        return replace(self, weights={name: np.asarray(value, np.float32) for name, value in weights.items()})

    def tokenize(self, texts: list[str], longest: int) -> list[list[int]]:
        """Token ids of every text, special tokens included, cut to `longest` or to what the encoder can read."""
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(min(longest, self.config.longest))
        clean = [text.encode("utf-8", "replace").decode() for text in texts]
        return [encoding.ids for encoding in self.tokenizer.encode_batch(clean)]

    def windows(self, texts: list[str], longest: int, most: int) -> list[list[list[int]]]:
        """Of every text at most `most` windows of token ids, special tokens included, each as long as `tokenize` cuts.

        Windows follow one on the other. Of a text that has more of them the first, the last and those evenly between
        are taken.
        """
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(min(longest, self.config.longest))
        found = []
        for text in texts:  # one by one: a batch would hold all windows of all its texts
            first = self.tokenizer.encode(text.encode("utf-8", "replace").decode())
            whole = [first, *first.overflowing]
            places = (
                range(len(whole)) if len(whole) <= most else np.linspace(0, len(whole) - 1, most).round().astype(int)
            )
            found.append([list(whole[place].ids) for place in places])
        return found


def hidden(
    weights: Weights, config: BertConfig, tokens: jax.Array, positions: jax.Array, segments: jax.Array
) -> jax.Array:
    """tokens, positions, segments [B, T] int32 -> [B, T, D].

    positions count from 0 in every document. segments number a row's documents from 1; 0 is padding.
    """
    embedded = weights["embeddings.word_embeddings.weight"][tokens]
    if config.rotary is None:
        embedded += weights["embeddings.position_embeddings.weight"][positions + config.first_position]
    if config.type_vocab_size:
        embedded += weights["embeddings.token_type_embeddings.weight"][0]
    stacked = {name.removeprefix("layer."): value for name, value in weights.items() if name.startswith("layer.")}
    turns = [_turns(rotary, config, positions) for rotary in (config.rotary, config.local_rotary)]
    everywhere = partial(_attention, config=config, turns=turns[0], segments=segments)
    nearby = partial(_attention, config=config, turns=turns[1], segments=segments, window=config.window)
    local = jnp.array(config.local_layers) if any(config.local_layers) else None

    def layer(state: State, xs: tuple[Weights, jax.Array | None]) -> tuple[State, None]:
        one, is_local = xs
        if is_local is None:
            attended = everywhere(state[1], one)
        else:
            attended = jax.lax.cond(is_local, nearby, everywhere, state[1], one)
        state = _added(state, _dense(attended, one, "attention.output.dense"), one, "attention.output", config)
        inner = _dense(state[1], one, INNER)
        inner = _gelu(_dense(state[1], one, GATE)) * inner if config.gated else _gelu(inner)
        return _added(state, _dense(inner, one, "output.dense"), one, "output", config), None

    x = _norm(embedded, weights, "embeddings", config)
    (_, read), _ = jax.lax.scan(layer, (x, x), (stacked, local))
    return read


def _added(state: State, product: jax.Array, one: Weights, name: str, config: BertConfig) -> State:
    total = state[0] + product
    read = _norm(total, one, name, config)
    return total if config.pre_norm else read, read


def _attention(
    x: jax.Array,
    one: Weights,
    *,
    config: BertConfig,
    turns: Turns | None,
    segments: jax.Array,
    window: int | None = None,
) -> jax.Array:
    """x [B, T, D] -> [B, T, D]: every token attends to those of its segment, at most `window` away if that is given."""
    heads = (*x.shape[:2], config.num_attention_heads, config.head_width)
    query, key, value = (_dense(x, one, name).reshape(heads) for name in (QUERY, KEY, VALUE))
    if turns:
        query, key = _turned(query, turns), _turned(key, turns)
    if window is None or window >= x.shape[1]:
        return _attended(query, key, value, segments[:, :, None] == segments[:, None, :]).reshape(x.shape)
    size = max(1, window)
    near = np.abs(np.arange(size)[:, None] + size - np.arange(3 * size)) <= window
    mask = (_blocks(segments, size)[:, :, None] == _neighbours(segments, size)[:, None, :]) & near
    found = _attended(_blocks(query, size), _neighbours(key, size), _neighbours(value, size), mask)
    return found.reshape(x.shape[0], -1, x.shape[2])[:, : x.shape[1]]


def _attended(query: jax.Array, key: jax.Array, value: jax.Array, mask: jax.Array) -> jax.Array:
    """query [B, T, H, d], key and value [B, S, H, d], mask [B, T, S] -> [B, T, H, d]."""
    scores = jnp.einsum("bqhd,bkhd->bhqk", query, key) / jnp.sqrt(query.shape[-1])
    shares = jax.nn.softmax(jnp.where(mask[:, None], scores, MASKED))
    return jnp.einsum("bhqk,bkhd->bqhd", shares, value)


def _blocks(x: jax.Array, size: int) -> jax.Array:
    """x [B, T, ...] -> its blocks of `size` tokens [B * n, size, ...], the last filled up with zeros."""
    missing = -x.shape[1] % size
    filled = jnp.pad(x, ((0, 0), (0, missing), *((0, 0),) * (x.ndim - 2)))
    return filled.reshape(-1, size, *x.shape[2:])


def _neighbours(x: jax.Array, size: int) -> jax.Array:
    """x [B, T, ...] -> every block between the one before and the one after it, [B * n, 3 * size, ...]."""
    blocks = _blocks(x, size).reshape(len(x), -1, size, *x.shape[2:])
    padded = jnp.pad(blocks, ((0, 0), (1, 1), *((0, 0),) * (blocks.ndim - 2)))
    three = jnp.concatenate([padded[:, :-2], blocks, padded[:, 2:]], axis=2)
    return three.reshape(-1, 3 * size, *x.shape[2:])


def _turns(rotary: Rotary | None, config: BertConfig, positions: jax.Array) -> Turns | None:
    if rotary is None:
        return None
    cosines, sines = rotary.turns(config.longest, config.head_width)
    return jnp.asarray(cosines)[positions][:, :, None], jnp.asarray(sines)[positions][:, :, None]


def _turned(x: jax.Array, turns: Turns) -> jax.Array:
    """x [B, T, H, d]: number i of a head is a pair with number i + d / 2, and turned."""
    cosines, sines = turns
    first, second = jnp.split(x, 2, axis=-1)
    return jnp.concatenate([first * cosines - second * sines, second * cosines + first * sines], axis=-1)


_gelu: Callable[[jax.Array], jax.Array] = partial(jax.nn.gelu, approximate=False)


def _dense(x: jax.Array, weights: Weights, name: str) -> jax.Array:
    product: jax.Array = x @ weights[f"{name}.weight"].T
    return product + weights[f"{name}.bias"] if f"{name}.bias" in weights else product


def _norm(x: jax.Array, weights: Weights, name: str, config: BertConfig) -> jax.Array:
    centred = x - x.mean(axis=-1, keepdims=True)
    scaled = centred * jax.lax.rsqrt((centred**2).mean(axis=-1, keepdims=True) + config.layer_norm_eps)
    normed: jax.Array = scaled * weights[f"{name}.LayerNorm.weight"]
    return normed + weights[f"{name}.LayerNorm.bias"] if config.norm_bias else normed


def pooled(x: jax.Array, positions: jax.Array, segments: jax.Array, documents: int, pooling: str) -> jax.Array:
    """x [B, T, D] -> [B, N, D]: the mean of each document's tokens, or its first token. N is `documents`."""
    mine = jax.nn.one_hot(segments - 1, documents, dtype=x.dtype)  # [B, T, N]; padding is -1: all zero
    if pooling == "first":
        mine = mine * (positions == 0)[:, :, None]
    counts = jnp.maximum(mine.sum(axis=1), 1.0)
    mean: jax.Array = jnp.einsum("btn,btd->bnd", mine, x) / counts[:, :, None]
    return mean


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


class JaxEmbedder:
    """Pooled hidden states of token lists on an accelerator, in float32 whatever the device would choose by itself.

    One shape is compiled: `rows` rows a device of the longest length, by default as many as have `TOKENS` tokens, at
    most `ROWS`. The last batch is filled with empty rows.
    """

    def __init__(self, bert: Bert, longest: int, rows: int | None = None) -> None:
        devices = jax.devices()
        self._rules = ShardingRules(MeshShape(data=len(devices)).over(devices))
        self._length = min(longest, bert.config.longest)
        self._rows = (rows or max(1, min(ROWS, TOKENS // self._length))) * len(devices)
        self._weights = jax.device_put(dict(bert.weights), self._rules.sharding())
        self._most = max(1, self._length // SHORTEST)
        self._run = partial(pooled_rows, config=bert.config, pooling=bert.pooling, documents=self._most)
        self._width = bert.config.hidden_size

    def embed(self, documents: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Token lists -> [documents, D] float32."""
        packed = pack(documents, self._length, self._most)
        row, number = np.array(packed.places, dtype=np.int64).reshape(-1, 2).T
        embeddings = np.zeros((len(documents), self._width), dtype=np.float32)
        for start in range(0, len(packed.tokens), self._rows):
            here = (row >= start) & (row < start + self._rows)
            embeddings[here] = self._batch(packed, start)[row[here] - start, number[here]]
        return embeddings

    def _batch(self, packed: PackedRows, start: int) -> NDArray[np.float32]:
        whole = np.zeros((3, self._rows, self._length), dtype=np.int32)
        for place, part in enumerate((packed.tokens, packed.positions, packed.segments)):
            rows = part[start : start + self._rows]
            whole[place, : len(rows)] = rows
        return np.asarray(self._run(self._weights, *jax.device_put(tuple(whole), self._rules.sharding("batch"))))
