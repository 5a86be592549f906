"""Attention by the kernel that a platform has, all with one meaning: causal, within segments, grouped queries.

`xla`: any platform; the scores of a row, T x T a head, are held. `cudnn`: NVIDIA GPUs from Ampere on, in bfloat16, for
heads that are a multiple of 8 wide and rows of even length; the scores are not held, the mask is. `splash`: TPUs;
neither is held, and blocks of keys after a query are skipped. Its kernel comes with JAX
(jax.experimental.pallas.ops.tpu.splash_attention) and wants heads that are a multiple of 128 wide and rows that are a
multiple of 128 long.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import gcd
from typing import Any, Literal

import jax
import jax.numpy as jnp

from datashop_assets.models.sharding import ShardingRules

Attend = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]  # [B, T, N, H], [B, S, K, H] twice -> [B, T, N, H]
Kernel = Literal["xla", "cudnn", "splash"]
LANES = 128
BLOCK = 512  # queries and keys that splash holds at once, at most


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
