"""BERT-type encoders in JAX: BERT, MiniLM, bge, arctic-embed, e5, and the RoBERTa layout of multilingual e5.

Several documents share a row and do not see each other: attention is masked by segment, so that rows are packed instead
of padded. Layers are stacked and scanned. There is no dropout: tuning is deterministic given its order of documents.
The network is that of Devlin et al., 2018 (arXiv:1810.04805), its tensors named as in Hugging Face `BertModel`.

`JaxEmbedder` runs it on accelerators, with rows split over all devices; on CPUs `onnx_graph.py` is faster.

Letters in shapes: B batch, T tokens, N documents a row, D hidden width, L layers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from datashop_assets.models.packing import PackedRows, pack
from datashop_assets.models.sharding import MeshShape, ShardingRules

Weights = Mapping[str, Any]  # tensors by their name in `BertModel`; those of layers stacked: `layer.output.dense.bias`
Tensors = dict[str, NDArray[np.float32]]
MASKED = -1e30
ROWS = 32  # a device
SHORTEST = 8  # tokens: a row of T has space for T / 8 documents


@dataclass(frozen=True, slots=True)
class BertConfig:
    """Sizes of an encoder, under the names of a Hugging Face `config.json`."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    max_position_embeddings: int
    type_vocab_size: int = 2
    layer_norm_eps: float = 1e-12
    pad_token_id: int = 0
    model_type: str = "bert"

    @classmethod
    def from_hugging_face(cls, config: Mapping[str, Any]) -> "BertConfig":
        """Reads the mapping of a `config.json`. Raises `ValueError` for a variant that is not computed here."""
        _refuse_variants(config)
        return cls(**{name: config[name] for name in cls.__dataclass_fields__ if name in config})

    @property
    def first_position(self) -> int:
        """The row of the position embeddings that a text's first token has: RoBERTa counts on from its padding."""
        return 0 if self.model_type == "bert" else self.pad_token_id + 1

    @property
    def longest(self) -> int:
        """The most tokens that a text may have, `[CLS]` and `[SEP]` included."""
        return self.max_position_embeddings - self.first_position

    def flops(self, length: int) -> int:
        """Floating-point operations of one pass over a text of `length` tokens.

        Two a weight that multiplies and token, and four a layer, head width and attended token.
        """
        multiplied = self.num_hidden_layers * (4 * self.hidden_size**2 + 2 * self.hidden_size * self.intermediate_size)
        return length * (2 * multiplied + 4 * self.num_hidden_layers * self.hidden_size * length)


def _refuse_variants(config: Mapping[str, Any]) -> None:
    computed = {
        "model_type": ("bert", "roberta", "xlm-roberta"),
        "hidden_act": ("gelu",),
        "position_embedding_type": ("absolute",),
    }
    for field, values in computed.items():
        if config.get(field, values[0]) not in values:
            raise ValueError(f"config.json: {field} is {config[field]!r}; computed here: {', '.join(values)}")


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


def shapes(config: BertConfig) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor of `Weights`."""
    width, inner, layers = config.hidden_size, config.intermediate_size, config.num_hidden_layers
    rows = {"word": config.vocab_size, "position": config.max_position_embeddings, "token_type": config.type_vocab_size}
    sizes: dict[str, tuple[int, ...]] = {f"embeddings.{name}_embeddings.weight": (n, width) for name, n in rows.items()}
    square = ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense")
    products = {**dict.fromkeys(square, (width, width)), "intermediate.dense": (inner, width)}
    for name, shape in {**products, "output.dense": (width, inner)}.items():
        sizes |= {f"layer.{name}.weight": (layers, *shape), f"layer.{name}.bias": (layers, shape[0])}
    for part in ("weight", "bias"):
        sizes[f"embeddings.LayerNorm.{part}"] = (width,)
        sizes |= {f"layer.{name}.LayerNorm.{part}": (layers, width) for name in ("attention.output", "output")}
    return sizes


def hidden(
    weights: Weights, config: BertConfig, tokens: jax.Array, positions: jax.Array, segments: jax.Array
) -> jax.Array:
    """tokens, positions, segments [B, T] int32 -> [B, T, D].

    positions count from 0 in every document. segments number a row's documents from 1; 0 is padding.
    """
    embedded = (
        weights["embeddings.word_embeddings.weight"][tokens]
        + weights["embeddings.position_embeddings.weight"][positions + config.first_position]
        + weights["embeddings.token_type_embeddings.weight"][0]
    )
    mask = jnp.where(segments[:, None, :, None] == segments[:, None, None, :], 0.0, MASKED)
    stacked = {name.removeprefix("layer."): value for name, value in weights.items() if name.startswith("layer.")}

    def layer(x: jax.Array, one: Weights) -> tuple[jax.Array, None]:
        return _layer(x, one, config, mask), None

    x: jax.Array = jax.lax.scan(layer, _norm(embedded, weights, "embeddings", config), stacked)[0]
    return x


def _layer(x: jax.Array, one: Weights, config: BertConfig, mask: jax.Array) -> jax.Array:
    attended = _dense(_attention(x, one, config, mask), one, "attention.output.dense")
    x = _norm(x + attended, one, "attention.output", config)
    inner = jax.nn.gelu(_dense(x, one, "intermediate.dense"), approximate=False)
    return _norm(x + _dense(inner, one, "output.dense"), one, "output", config)


def _attention(x: jax.Array, one: Weights, config: BertConfig, mask: jax.Array) -> jax.Array:
    heads = (*x.shape[:2], config.num_attention_heads, -1)
    query, key, value = (_dense(x, one, f"attention.self.{name}").reshape(heads) for name in ("query", "key", "value"))
    scores = jnp.einsum("bqhd,bkhd->bhqk", query, key) / jnp.sqrt(query.shape[-1]) + mask
    return jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores), value).reshape(x.shape)


def _dense(x: jax.Array, weights: Weights, name: str) -> jax.Array:
    product: jax.Array = x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]
    return product


def _norm(x: jax.Array, weights: Weights, name: str, config: BertConfig) -> jax.Array:
    centred = x - x.mean(axis=-1, keepdims=True)
    scaled = centred * jax.lax.rsqrt((centred**2).mean(axis=-1, keepdims=True) + config.layer_norm_eps)
    normed: jax.Array = scaled * weights[f"{name}.LayerNorm.weight"] + weights[f"{name}.LayerNorm.bias"]
    return normed


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

    One shape is compiled: `rows` rows a device of the longest length. The last batch is filled with empty rows.
    """

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
