"""What single choices of the trainer give on this machine's CPU: each beside what it replaced, in one run.

Tokens a second of all seeds together for the demo's model, but for `layers`, which are seconds of compilation.
"""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import patch

import jax

from datashop_assets.models import sharding
from datashop_assets.trained_lm import training
from datashop_assets_tests.benchmarks.lm_sizes import DEMO, of
from datashop_assets_tests.benchmarks.training_here import random_batch, settings

STEPS = 100
Change = dict[str, float]


def pace(look_every: int = STEPS) -> float:
    """Of one seed, with a look at the loss, which waits for the device, every so many steps."""
    wanted = settings(DEMO, STEPS)
    made = training.compiled(wanted.llama(DEMO["vocabulary"]), wanted)
    state, batch = made.start(0), random_batch(DEMO)
    begun = time.perf_counter()
    for step in range(STEPS):
        state, loss = made.step(state, batch)
        if (step + 1) % look_every == 0:
            jax.device_get(loss)
    jax.block_until_ready(state)
    return STEPS * DEMO["batch"] * DEMO["length"] / (time.perf_counter() - begun)


def fresh(work: Callable[[], float]) -> float:
    """Compiled anew, run twice, the better of both."""
    training.compiled.cache_clear()
    return max(work() for _ in range(2))


def seeds() -> Change:
    def two() -> float:
        with ThreadPoolExecutor(2) as pool:
            return sum(pool.map(lambda _: pace(), range(2)))

    with patch.object(sharding, "ONE_THREAD", {}):
        before = fresh(pace)
    return {"one seed on all threads": before, "two seeds, a thread each": fresh(two)}


def looks() -> Change:
    return {"a look every step": fresh(lambda: pace(1)), "every tenth": fresh(lambda: pace(10))}


def losses() -> Change:
    with patch.object(training, "parts_of", lambda *sizes: 4):
        parts = fresh(pace)
    return {"four parts": parts, "one part, as for the demo": fresh(pace)}


def layers() -> Change:
    return {f"{depth} layers": _compiling(depth) for depth in (2, 16)}


def _compiling(depth: int) -> float:
    sizes = of(depth, 64 * depth // 2, 32 if depth < 16 else 64, 1024, 128, 8)
    wanted = settings(sizes, STEPS)
    training.compiled.cache_clear()
    begun = time.perf_counter()
    training.compiled(wanted.llama(sizes["vocabulary"]), wanted)
    return time.perf_counter() - begun


def main() -> None:
    changes = (seeds, looks, losses, layers)
    print(json.dumps({change.__name__: {name: round(it, 1) for name, it in change().items()} for change in changes}))


if __name__ == "__main__":
    main()
