"""Causal attention as Llama-type decoders do it: grouped queries, rotary positions, packed rows, a shared prefix.

The layer projects and rotates; what mixes values by queries and keys is a kernel, chosen by platform. All kernels mean
the same. `xla`: any platform; the scores of a row, T x T a head, are held. `cudnn`: NVIDIA GPUs from Ampere on, in
bfloat16, for heads that are a multiple of 8 wide and rows of even length; the scores are not held, the mask is.
`splash`: TPUs; neither is held, and blocks of keys after a query are skipped. Its kernel comes with JAX
(jax.experimental.pallas.ops.tpu.splash_attention) and wants heads that are a multiple of 128 wide and rows that are a
multiple of 128 long.

Letters in shapes: B batch, T tokens, P prefix tokens, S = P + T, L layers, N query heads, K key heads, H head width,
D hidden width. Grouped queries: Ainslie et al., 2023, arXiv:2305.13245; rotary positions: Su et al., 2021,
arXiv:2104.09864, with the two halves of a head as pairs, as in Hugging Face `LlamaForCausalLM`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import gcd
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from datashop_assets.models.sharding import ShardingRules

Attend = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]  # [B, T, N, H], [B, S, K, H] twice -> [B, T, N, H]
Kernel = Literal["xla", "cudnn", "splash"]
Rotation = tuple[jax.Array, jax.Array]  # cosines and sines [B, T, 1, H]
LANES = 128
BLOCK = 512  # queries and keys that splash holds at once, at most


class KeysValues(NamedTuple):
    """Keys and values of a prefix, for every layer."""

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


def linear(inputs: int, outputs: int, *, dtype: DTypeLike, rngs: nnx.Rngs) -> nnx.Linear:
    """A matrix without bias, float32 at rest, computing in `dtype`."""
    return nnx.Linear(inputs, outputs, use_bias=False, dtype=dtype, rngs=rngs)


def _heads(x: jax.Array, head_dim: int) -> jax.Array:
    return x.reshape(*x.shape[:-1], -1, head_dim)


def _after(prefix: jax.Array, own: jax.Array) -> jax.Array:
    """prefix [P, K, H] before every row of own [B, T, K, H] -> [B, P + T, K, H]."""
    return jnp.concatenate([jnp.broadcast_to(prefix, (own.shape[0], *prefix.shape)), own], axis=1)


@dataclass(frozen=True, slots=True)
class RopeScaling:
    """Rotary frequencies scaled for long contexts as Llama 3.1 does (`rope_type: llama3` in a `config.json`).

    Frequencies whose wave is longer than `original` / `low` tokens are divided by `factor`, those whose wave is shorter
    than `original` / `high` are left, and those between are mixed (Grattafiori et al., 2024, arXiv:2407.21783).
    """

    factor: float
    low: float
    high: float
    original: int

    def apply(self, frequencies: jax.Array) -> jax.Array:
        """frequencies [H / 2] -> scaled [H / 2]."""
        waves = self.original * frequencies / (2 * jnp.pi)  # in the original context
        kept = jnp.clip((waves - self.low) / (self.high - self.low), 0.0, 1.0)
        return frequencies * (kept + (1 - kept) / self.factor)


def rotary(positions: jax.Array, head_dim: int, theta: float, scaling: RopeScaling | None = None) -> Rotation:
    """positions [B, T] -> cosines and sines [B, T, 1, H] in float32, the two halves of a head alike."""
    frequencies = theta ** (-jnp.arange(0, head_dim, 2, dtype=jnp.float32) / head_dim)
    if scaling is not None:
        frequencies = scaling.apply(frequencies)
    angles = positions[..., None, None].astype(jnp.float32) * jnp.concatenate([frequencies, frequencies])
    return jnp.cos(angles), jnp.sin(angles)


def rotate(x: jax.Array, rotation: Rotation) -> jax.Array:
    """x [B, T, N, H] turned by its position, computed in float32."""
    cosines, sines = rotation
    first, second = jnp.split(x, 2, axis=-1)
    return (x * cosines + jnp.concatenate([-second, first], axis=-1) * sines).astype(x.dtype)


@dataclass(frozen=True)
class Computing:
    """How a network is computed, which changes its speed and memory and, but for rounding, not its results."""

    kernel: Kernel = "xla"
    recompute: str = "nothing"  # in the backward pass: "nothing", "all but products" or "layers"
    rules: ShardingRules | None = None  # None: one device

    def keep(self, x: jax.Array, *axes: str | None) -> jax.Array:
        """`x`, laid over the mesh by its axes."""
        return x if self.rules is None else self.rules.keep(x, *axes)

    def checkpointed(self, layer: Callable[..., Any]) -> Callable[..., Any]:
        """A layer whose values are computed again in the backward pass, as `recompute` says."""
        if self.recompute == "nothing":
            return layer
        products = jax.checkpoint_policies.dots_with_no_batch_dims_saveable
        return jax.checkpoint(layer, policy=products if self.recompute == "all but products" else None)


PLAIN = Computing()


def kernel_of(platform: str, head_dim: int, length: int, precision: str) -> Kernel:
    """The best kernel for a platform ("cpu", "gpu", "tpu") and these sizes."""
    if platform == "tpu" and head_dim % LANES == 0 and length % LANES == 0:
        return "splash"
    fits = head_dim <= LANES and head_dim % 8 == 0 and length % 2 == 0  # what jax asks of cuDNN with a mask
    if platform in {"gpu", "cuda"} and precision == "bfloat16" and fits:
        return "cudnn"
    return "xla"


def causal_mask(tokens: int, before: int, segments: jax.Array | None) -> jax.Array:
    """True where a query may look: [1 or B, 1, T, P + T]. The prefix of `before` tokens is always seen."""
    seen = jnp.tril(jnp.ones((1, tokens, tokens), dtype=bool))
    if segments is not None:
        seen = seen & (segments[:, :, None] == segments[:, None, :])
    return jnp.pad(seen, ((0, 0), (0, 0), (before, 0)), constant_values=True)[:, None]


def masked(mask: jax.Array, kernel: Kernel) -> Attend:
    """Attention where mask [B, 1, T, S] is true."""
    return partial(jax.nn.dot_product_attention, mask=mask, implementation="cudnn" if kernel == "cudnn" else "xla")


def splash(segments: jax.Array, rules: ShardingRules | None) -> Attend:
    """Causal attention of rows onto themselves within segments [B, T], on each device for its rows and heads."""

    def attend(query: jax.Array, keys: jax.Array, values: jax.Array) -> jax.Array:
        if rules is None:
            return _splash(query, keys, values, segments)
        heads, rows = rules.spec("batch", None, "heads", None), rules.spec("batch", None)
        share = jax.shard_map(
            _splash, mesh=rules.mesh, in_specs=(heads, heads, heads, rows), out_specs=heads, check_vma=False
        )
        shared: jax.Array = share(query, keys, values, segments)
        return shared

    return attend


def _splash(query: jax.Array, keys: jax.Array, values: jax.Array, segments: jax.Array) -> jax.Array:
    from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_kernel as kernels
    from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_mask as masks

    length, heads, width = query.shape[1:]
    block = gcd(BLOCK, length)  # blocks fill a row
    sizes = kernels.BlockSizes(
        block_q=block, block_kv=block, block_q_dkv=block, block_kv_dkv=block, block_q_dq=block, block_kv_dq=block
    )
    causal = masks.MultiHeadMask([masks.CausalMask((length, length)) for _ in range(heads)])
    kernel = kernels.make_splash_mha(mask=causal, block_sizes=sizes, head_shards=1, q_seq_shards=1)

    def row(query: jax.Array, keys: jax.Array, values: jax.Array, segments: jax.Array) -> jax.Array:
        mixed: jax.Array = kernel(query, keys, values, segment_ids=kernels.SegmentIds(segments, segments))
        return mixed

    scaled = (query * width**-0.5).astype(query.dtype)
    turned = [jnp.swapaxes(each, 1, 2) for each in (scaled, keys, values)]  # [B, N, T, H]
    return jnp.swapaxes(jax.vmap(row)(turned[0], turned[1], turned[2], segments), 1, 2)
