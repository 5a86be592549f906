"""What a language model loses at each token, without ever holding the logits of a whole batch.

The logits of 8 rows of 4,096 tokens over 128,256 tokens would be 17 GB in float32, and their gradient as much again. So
they are computed for a part of every row at a time, and again in the backward pass.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

HELD = 1 << 25  # logits held at once on a device: 128 MB in float32


def token_losses(
    logits: Callable[[jax.Array], jax.Array], hidden: jax.Array, targets: jax.Array, *, parts: int
) -> jax.Array:
    """hidden [B, T, D] and targets [B, T] -> nats [B, T], float32. `logits` maps [B, t, D] to [B, t, V].

    `parts`: how many a row is computed in, from `parts_of`; it divides T.
    """

    def losses(part: tuple[jax.Array, jax.Array]) -> jax.Array:
        scores = logits(part[0]).astype(jnp.float32)
        nats: jax.Array = optax.softmax_cross_entropy_with_integer_labels(scores, part[1])
        return nats

    if parts == 1:
        return losses((hidden, targets))
    cut = [jnp.moveaxis(x.reshape(x.shape[0], parts, -1, *x.shape[2:]), 1, 0) for x in (hidden, targets)]
    nats: jax.Array = jax.lax.map(jax.checkpoint(losses), (cut[0], cut[1]))  # [parts, B, t]
    return jnp.moveaxis(nats, 0, 1).reshape(targets.shape)


def parts_of(batch: int, length: int, vocabulary: int, devices: int = 1) -> int:
    """The fewest equal parts of a row whose logits are `HELD` a device or fewer: a divisor of `length`."""
    wanted = -(-batch * length * vocabulary // (HELD * devices))
    return next(parts for parts in range(min(max(1, wanted), length), length + 1) if length % parts == 0)
