"""Causal attention as Llama-type decoders do it: grouped queries, rotary positions, packed rows, a shared prefix.

Letters in shapes: B batch, T tokens, P prefix tokens, S = P + T, L layers, N query heads, K key heads, H head width,
D hidden width. Grouped queries: Ainslie et al., 2023, arXiv:2305.13245; rotary positions: Su et al., 2021,
arXiv:2104.09864, with the two halves of a head as pairs, as in Hugging Face `LlamaForCausalLM`.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from datashop_assets.models.attention_kernels import Attend

Rotation = tuple[jax.Array, jax.Array]  # cosines and sines [B, T, 1, H]


class KeysValues(NamedTuple):
    """What attention remembers of a prefix, for every layer."""

    keys: jax.Array  # [L, P, K, H], already rotated
    values: jax.Array  # [L, P, K, H]


class Attention(nnx.Module):
    """Grouped-query attention with rotary positions."""

    def __init__(
        self, width: int, heads: int, key_heads: int, head_dim: int, *, dtype: DTypeLike, rngs: nnx.Rngs
    ) -> None:
        self.head_dim = head_dim
        self.q_proj = linear(width, heads * head_dim, dtype=dtype, rngs=rngs)
        self.k_proj = linear(width, key_heads * head_dim, dtype=dtype, rngs=rngs)
        self.v_proj = linear(width, key_heads * head_dim, dtype=dtype, rngs=rngs)
        self.o_proj = linear(heads * head_dim, width, dtype=dtype, rngs=rngs)

    def __call__(
        self, x: jax.Array, rotation: Rotation, attend: Attend, prefix: KeysValues | None
    ) -> tuple[jax.Array, KeysValues]:
        """x [B, T, D], prefix [P, K, H] -> mixed [B, T, D], own keys and values [B, T, K, H]."""
        query, key = (rotate(_heads(proj(x), self.head_dim), rotation) for proj in (self.q_proj, self.k_proj))
        own = KeysValues(key, _heads(self.v_proj(x), self.head_dim))
        keys, values = own if prefix is None else (_after(part, mine) for part, mine in zip(prefix, own, strict=True))
        mixed = attend(query, keys, values)
        return self.o_proj(mixed.reshape(*x.shape[:-1], -1)), own


@dataclass(frozen=True, slots=True)
class Stretch:
    """Rotary positions stretched for long contexts as Llama 3.1 does (`rope_type: llama3` in a `config.json`).

    Frequencies whose wave is longer than `original` / `low` tokens are divided by `factor`, those whose wave is shorter
    than `original` / `high` are left, and those between are mixed (Grattafiori et al., 2024, arXiv:2407.21783).
    """

    factor: float
    low: float
    high: float
    original: int

    def of(self, frequencies: jax.Array) -> jax.Array:
        """frequencies [H / 2] -> stretched [H / 2]."""
        waves = self.original * frequencies / (2 * jnp.pi)  # in the original context
        kept = jnp.clip((waves - self.low) / (self.high - self.low), 0.0, 1.0)
        return frequencies * (kept + (1 - kept) / self.factor)


def rotary(positions: jax.Array, head_dim: int, theta: float, stretch: Stretch | None = None) -> Rotation:
    """positions [B, T] -> cosines and sines [B, T, 1, H] in float32, the two halves of a head alike."""
    frequencies = theta ** (-jnp.arange(0, head_dim, 2, dtype=jnp.float32) / head_dim)
    if stretch is not None:
        frequencies = stretch.of(frequencies)
    angles = positions[..., None, None].astype(jnp.float32) * jnp.concatenate([frequencies, frequencies])
    return jnp.cos(angles), jnp.sin(angles)


def rotate(x: jax.Array, rotation: Rotation) -> jax.Array:
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


def linear(inputs: int, outputs: int, *, dtype: DTypeLike, rngs: nnx.Rngs) -> nnx.Linear:
    """A matrix without bias, float32 at rest, computing in `dtype`."""
    return nnx.Linear(inputs, outputs, use_bias=False, dtype=dtype, rngs=rngs)
