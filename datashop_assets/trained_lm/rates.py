"""How fast the machine can multiply: what a training step is measured by."""

import time
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp

from datashop_assets.models.sharding import compiler_options

SIDE = {"cpu": 512, "gpu": 8192, "tpu": 8192}
TRIES = 5


@lru_cache(maxsize=4)
def device_rate(precision: str) -> float:
    """Floating-point operations a second of a square matrix product on one device: the best of a few tries.

    On a CPU of one thread, as models are trained there: 512 x 512 takes some 5 ms.
    """
    side = SIDE.get(jax.default_backend(), 2048)
    square = jnp.ones((side, side), dtype=precision)
    product = jax.jit(jnp.matmul).lower(square, square).compile(compiler_options())
    product(square, square).block_until_ready()
    return 2 * side**3 / min(_seconds(product, square) for _ in range(TRIES))


def _seconds(product: Any, square: jax.Array) -> float:
    begun = time.perf_counter()
    product(square, square).block_until_ready()
    return time.perf_counter() - begun
