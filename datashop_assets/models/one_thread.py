"""Programs for one thread, side by side: how a CPU with one device computes what comes in equal pieces.

XLA gains less from splitting a matrix product over cores than from computing two at once, and what one thread computes
does not depend on how many cores there are. Other backends compile as they like, one piece after the other.
"""

import os
from typing import Any

import jax

ONE_THREAD = {"xla_cpu_multi_thread_eigen": False}


def workers() -> int:
    """How many pieces are worked on at once in this process."""
    return len(os.sched_getaffinity(0)) if jax.default_backend() == "cpu" else 1


def compiler_options() -> dict[str, Any]:
    return ONE_THREAD if jax.default_backend() == "cpu" else {}
