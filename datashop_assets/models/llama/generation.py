"""Greedy decoding with a Llama: the likeliest token, one after the other. For small models and short texts.

Keys and values of what was read and written so far stay in buffers of a fixed size, so that one program is compiled a
buffer size and another a prompt length; prompts are padded to multiples of `STEP`. SmolLM2-135M writes some 20 tokens
a second on two cores.
"""

from collections.abc import Collection, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from datashop_assets.models.attention import KeysValues, rotary
from datashop_assets.models.llama.model import Llama

STEP = 64  # tokens


class _State(NamedTuple):
    token: jax.Array  # int32, read next
    filled: jax.Array  # int32, places of the buffers in use
    cache: KeysValues  # [L, S, K, H]


class Greedy:
    """Continues token sequences; the texts do not depend on each other."""

    def __init__(self, model: Llama) -> None:
        self._graph, self._weights = nnx.split(model)

    def write(self, prompt: Sequence[int], most: int, stops: Collection[int]) -> tuple[list[int], bool]:
        """At most `most` tokens after `prompt`, without the stop, and whether a stop ended them."""
        length = -(-len(prompt) // STEP) * STEP
        tokens = jnp.asarray([*prompt, *[0] * (length - len(prompt))], dtype=jnp.int32)
        state = _read(self._graph, self._weights, tokens, len(prompt), -(-(length + most) // STEP) * STEP)
        written: list[int] = []
        while len(written) < most:
            token = int(state.token)
            if token in stops:
                return written, True
            written.append(token)
            state = _next(self._graph, self._weights, state)
        return written, int(state.token) in stops


@partial(jax.jit, static_argnums=(0, 4))
def _read(graph: Any, weights: Any, tokens: jax.Array, used: int, size: int) -> _State:
    """What follows tokens [T], of which the first `used` count; buffers of `size` places."""
    model: Llama = nnx.merge(graph, weights)
    hidden = model.hidden(tokens[None])
    seen = model.remember(tokens)
    padding = [(0, 0), (0, size - tokens.shape[0]), (0, 0), (0, 0)]
    token = jnp.argmax(model.logits(hidden[0, used - 1]))
    cache = KeysValues(jnp.pad(seen.keys, padding), jnp.pad(seen.values, padding))
    return _State(token.astype(jnp.int32), jnp.asarray(used, dtype=jnp.int32), cache)


@partial(jax.jit, static_argnums=0, donate_argnums=2)
def _next(graph: Any, weights: Any, state: _State) -> _State:
    model: Llama = nnx.merge(graph, weights)
    hidden, own = _step(model, state)
    place = (0, state.filled, 0, 0)
    cache = KeysValues(*(jax.lax.dynamic_update_slice(*both, place) for both in zip(state.cache, own, strict=True)))
    return _State(jnp.argmax(model.logits(hidden)).astype(jnp.int32), state.filled + 1, cache)


def _step(model: Llama, state: _State) -> tuple[jax.Array, KeysValues]:
    """One token read: [D] after the last norm, and its keys and values [L, 1, K, H]."""
    seen = jnp.arange(state.cache.keys.shape[1] + 1) < state.filled
    attend = partial(jax.nn.dot_product_attention, mask=seen.at[-1].set(True)[None, None, None])
    rotation = rotary(
        state.filled[None, None], model.config.head_dim, model.config.rope_theta, model.config.rope_scaling
    )
    block, layers = nnx.split(model.layers)

    def layer(x: jax.Array, one: tuple[Any, KeysValues]) -> tuple[jax.Array, KeysValues]:
        return nnx.merge(block, one[0])(x, rotation, attend, one[1])

    x, own = jax.lax.scan(layer, model.embed_tokens(state.token[None, None]), (layers, state.cache))
    return model.norm(x)[0, 0], KeysValues(own.keys[:, 0], own.values[:, 0])
