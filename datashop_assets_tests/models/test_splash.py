"""Splash attention, which TPUs run, gives what plain attention gives. Here Pallas interprets its kernels."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_kernel as kernels

from datashop_assets.models.attention import Attend, causal_mask, masked, splash

ROWS, TOKENS, HEADS, KEY_HEADS, WIDTH = 2, 256, 4, 2, 128
Given = tuple[jax.Array, jax.Array, jax.Array]


def test_values_and_slopes_are_those_of_plain_attention_within_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "make_splash_mha", partial(kernels.make_splash_mha, interpret=True))
    keys = jax.random.split(jax.random.key(0), 4)
    heads = (HEADS, KEY_HEADS, KEY_HEADS)
    query, key, value = (
        jax.random.normal(each, (ROWS, TOKENS, count, WIDTH)) for each, count in zip(keys, heads, strict=False)
    )
    segments = jnp.cumsum(jax.random.bernoulli(keys[3], 0.03, (ROWS, TOKENS)), axis=1, dtype=jnp.int32)
    plain = masked(causal_mask(TOKENS, 0, segments), "xla")
    given = (query, key, value)
    np.testing.assert_allclose(splash(segments, None)(*given), plain(*given), atol=1e-5)
    for one, two in zip(_slopes(splash(segments, None))(given), _slopes(plain)(given), strict=True):
        np.testing.assert_allclose(one, two, atol=2e-4)


def _slopes(attend: Attend) -> Callable[[Given], Given]:
    return jax.grad(lambda given: jnp.square(attend(*given)).sum())
