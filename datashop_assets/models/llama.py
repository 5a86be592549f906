"""The Llama decoder: grouped-query attention, rotary positions, RMSNorm, SwiGLU.

Layers are stacked and scanned, so that a program compiles in about the time of one layer whatever the depth; the price
is one copy of a layer's weights a step, under 2% of the arithmetic at 1,000 tokens. The network is that of
LLaMA (Touvron et al., 2023, arXiv:2302.13971) with grouped queries (Ainslie et al., 2023, arXiv:2305.13245), laid out
as in Hugging Face `LlamaForCausalLM`: rotary pairs are the two halves of a head.

Letters in shapes: B batch, T tokens, P prefix tokens, S = P + T, L layers, N query heads, K key heads, H head width,
D hidden width, V vocabulary.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike


@dataclass(frozen=True, slots=True)
class LlamaConfig:
    """Sizes of a Llama, under the names of a Hugging Face `config.json`."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    rope_theta: float = 10_000.0
    rms_norm_eps: float = 1e-5
    tie_word_embeddings: bool = True
    max_position_embeddings: int = 2048

    @classmethod
    def from_hugging_face(cls, config: Mapping[str, Any]) -> "LlamaConfig":
        """Reads the mapping of a `config.json`. Raises `ValueError` for a variant that this network does not compute."""
        rope = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
        _refuse_variants(config, rope)
        heads = config["num_attention_heads"]
        return cls(
            vocab_size=config["vocab_size"],
            hidden_size=config["hidden_size"],
            intermediate_size=config["intermediate_size"],
            num_hidden_layers=config["num_hidden_layers"],
            num_attention_heads=heads,
            num_key_value_heads=config.get("num_key_value_heads") or heads,
            head_dim=config.get("head_dim") or config["hidden_size"] // heads,
            rope_theta=float(rope.get("rope_theta") or config.get("rope_theta") or 10_000.0),
            rms_norm_eps=config.get("rms_norm_eps", 1e-6),
            tie_word_embeddings=config.get("tie_word_embeddings", False),
            max_position_embeddings=config.get("max_position_embeddings", 2048),
        )

    def to_hugging_face(self) -> dict[str, Any]:
        """The mapping for a `config.json` that `LlamaForCausalLM` reads, in transformers 4 and 5 alike."""
        return {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            **asdict(self),
            "rope_parameters": {"rope_type": "default", "rope_theta": self.rope_theta},
            "hidden_act": "silu",
            "attention_bias": False,
            "mlp_bias": False,
            "torch_dtype": "float32",
        }


def _refuse_variants(config: Mapping[str, Any], rope: Mapping[str, Any]) -> None:
    wanted = {"model_type": "llama", "hidden_act": "silu", "attention_bias": False, "mlp_bias": False}
    for field, value in wanted.items():
        if config.get(field, value) != value:
            raise ValueError(f"config.json: {field} is {config[field]!r}; only {value!r} is computed here.")
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind != "default":
        raise ValueError(f"config.json: rotary positions of type {kind!r}; only 'default' is computed here.")


class KeysValues(NamedTuple):
    """What attention remembers of a prefix, for every layer."""

    keys: jax.Array  # [L, P, K, H], already rotated
    values: jax.Array  # [L, P, K, H]


class Attention(nnx.Module):
    """Grouped-query attention with rotary positions."""

    def __init__(self, config: LlamaConfig, *, dtype: DTypeLike, rngs: nnx.Rngs) -> None:
        self.head_dim = config.head_dim
        queries, keys = config.num_attention_heads * config.head_dim, config.num_key_value_heads * config.head_dim
        self.q_proj = _linear(config.hidden_size, queries, dtype, rngs)
        self.k_proj = _linear(config.hidden_size, keys, dtype, rngs)
        self.v_proj = _linear(config.hidden_size, keys, dtype, rngs)
        self.o_proj = _linear(queries, config.hidden_size, dtype, rngs)

    def __call__(
        self, x: jax.Array, rotation: tuple[jax.Array, jax.Array], mask: jax.Array, prefix: KeysValues | None
    ) -> tuple[jax.Array, KeysValues]:
        """x [B, T, D], rotation 2 x [B, T, 1, H], mask [B, 1, T, S], prefix [P, K, H] -> [B, T, D], own [B, T, K, H]."""
        query, key = (rotate(_heads(proj(x), self.head_dim), rotation) for proj in (self.q_proj, self.k_proj))
        own = KeysValues(key, _heads(self.v_proj(x), self.head_dim))
        keys, values = own if prefix is None else (_after(part, mine) for part, mine in zip(prefix, own, strict=True))
        mixed = jax.nn.dot_product_attention(query, keys, values, mask=mask)
        return self.o_proj(mixed.reshape(*x.shape[:-1], -1)), own


class SwiGLU(nnx.Module):
    """The gated feed-forward layer (Shazeer, 2020, arXiv:2002.05202)."""

    def __init__(self, config: LlamaConfig, *, dtype: DTypeLike, rngs: nnx.Rngs) -> None:
        self.gate_proj = _linear(config.hidden_size, config.intermediate_size, dtype, rngs)
        self.up_proj = _linear(config.hidden_size, config.intermediate_size, dtype, rngs)
        self.down_proj = _linear(config.intermediate_size, config.hidden_size, dtype, rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """[B, T, D] -> [B, T, D]."""
        return self.down_proj(jax.nn.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nnx.Module):
    """One layer: attention and feed-forward, each normalised before and added to what came in."""

    def __init__(self, config: LlamaConfig, *, dtype: DTypeLike, rngs: nnx.Rngs) -> None:
        self.input_layernorm = _norm(config, dtype, rngs)
        self.self_attn = Attention(config, dtype=dtype, rngs=rngs)
        self.post_attention_layernorm = _norm(config, dtype, rngs)
        self.mlp = SwiGLU(config, dtype=dtype, rngs=rngs)

    def __call__(
        self, x: jax.Array, rotation: tuple[jax.Array, jax.Array], mask: jax.Array, prefix: KeysValues | None
    ) -> tuple[jax.Array, KeysValues]:
        """The shapes of `Attention`."""
        attended, own = self.self_attn(self.input_layernorm(x), rotation, mask, prefix)
        x = x + attended
        return x + self.mlp(self.post_attention_layernorm(x)), own


class Llama(nnx.Module):
    """A causal language model.

    Weights are float32 and `dtype` is what is computed in. Linear weights start at variance 1/fan-in and embeddings at
    a standard deviation of 0.02, so that one learning rate serves several widths.
    """

    def __init__(self, config: LlamaConfig, *, dtype: DTypeLike = jnp.float32, rngs: nnx.Rngs) -> None:
        self.config = config
        self.embed_tokens = nnx.Embed(
            config.vocab_size, config.hidden_size, dtype=dtype, embedding_init=nnx.initializers.normal(0.02), rngs=rngs
        )
        self.layers = _stacked_blocks(config, dtype, rngs)
        self.norm = _norm(config, dtype, rngs)
        if not config.tie_word_embeddings:
            self.lm_head = _linear(config.hidden_size, config.vocab_size, dtype, rngs)

    def hidden(
        self,
        tokens: jax.Array,
        *,
        positions: jax.Array | None = None,
        segments: jax.Array | None = None,
        prefix: KeysValues | None = None,
    ) -> jax.Array:
        """tokens [B, T] int32 -> [B, T, D] after the last norm. Attention is causal.

        positions [B, T] default to 0, 1, 2, ... after the prefix. segments [B, T] int: a token attends only to its own
        segment (and to the prefix), so that several documents share a row. prefix: from `remember`, seen by every row.
        """
        return self._run(tokens, positions, segments, prefix)[0]

    def logits(self, hidden: jax.Array) -> jax.Array:
        """[..., D] -> [..., V]."""
        return self.embed_tokens.attend(hidden) if self.config.tie_word_embeddings else self.lm_head(hidden)

    def remember(self, tokens: jax.Array) -> KeysValues:
        """tokens [P] int32 -> the keys and values of a prefix that many rows share."""
        own = self._run(tokens[None], None, None, None)[1]
        return KeysValues(own.keys[:, 0], own.values[:, 0])

    def _run(
        self,
        tokens: jax.Array,
        positions: jax.Array | None,
        segments: jax.Array | None,
        prefix: KeysValues | None,
    ) -> tuple[jax.Array, KeysValues]:
        before = 0 if prefix is None else prefix.keys.shape[1]
        if positions is None:
            positions = jnp.arange(before, before + tokens.shape[1])[None]
        rotation = rotary(positions, self.config.head_dim, self.config.rope_theta)
        mask = causal_mask(tokens.shape[1], before, segments)
        block, weights = nnx.split(self.layers)

        def step(x: jax.Array, layer: tuple[Any, KeysValues | None]) -> tuple[jax.Array, KeysValues]:
            return nnx.merge(block, layer[0])(x, rotation, mask, layer[1])

        x, own = jax.lax.scan(step, self.embed_tokens(tokens), (weights, prefix))
        return self.norm(x), own


def rotary(positions: jax.Array, head_dim: int, theta: float) -> tuple[jax.Array, jax.Array]:
    """positions [B, T] -> cosines and sines [B, T, 1, H] in float32, the two halves of a head alike."""
    frequencies = theta ** (-jnp.arange(0, head_dim, 2, dtype=jnp.float32) / head_dim)
    angles = positions[..., None, None].astype(jnp.float32) * jnp.concatenate([frequencies, frequencies])
    return jnp.cos(angles), jnp.sin(angles)


def rotate(x: jax.Array, rotation: tuple[jax.Array, jax.Array]) -> jax.Array:
    """x [B, T, N, H] turned by its position, computed in float32."""
    cosines, sines = rotation
    first, second = jnp.split(x, 2, axis=-1)
    return (x * cosines + jnp.concatenate([-second, first], axis=-1) * sines).astype(x.dtype)


def causal_mask(tokens: int, before: int, segments: jax.Array | None) -> jax.Array:
    """True where a query may look: [1 or B, 1, T, P + T]. The prefix of `before` tokens is always seen."""
    seen = jnp.tril(jnp.ones((1, tokens, tokens), dtype=bool))
    if segments is not None:
        seen = seen & (segments[:, :, None] == segments[:, None, :])
    return jnp.pad(seen, ((0, 0), (0, 0), (before, 0)), constant_values=True)[:, None]


def _heads(x: jax.Array, head_dim: int) -> jax.Array:
    return x.reshape(*x.shape[:-1], -1, head_dim)


def _after(prefix: jax.Array, own: jax.Array) -> jax.Array:
    """prefix [P, K, H] before every row of own [B, T, K, H] -> [B, P + T, K, H]."""
    return jnp.concatenate([jnp.broadcast_to(prefix, (own.shape[0], *prefix.shape)), own], axis=1)


def _linear(inputs: int, outputs: int, dtype: DTypeLike, rngs: nnx.Rngs) -> nnx.Linear:
    return nnx.Linear(inputs, outputs, use_bias=False, dtype=dtype, rngs=rngs)


def _norm(config: LlamaConfig, dtype: DTypeLike, rngs: nnx.Rngs) -> nnx.RMSNorm:
    return nnx.RMSNorm(config.hidden_size, epsilon=config.rms_norm_eps, dtype=dtype, rngs=rngs)


def _stacked_blocks(config: LlamaConfig, dtype: DTypeLike, rngs: nnx.Rngs) -> Block:
    """A `Block` whose every weight has a leading axis of L layers."""

    @nnx.split_rngs(splits=config.num_hidden_layers)
    @nnx.vmap(in_axes=0, out_axes=0)
    def stacked(rngs: nnx.Rngs) -> Block:
        return Block(config, dtype=dtype, rngs=rngs)

    return stacked(rngs)
