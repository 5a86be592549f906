"""What turns a document's pooled vector into a score: one direction, and a bias for each output.

`regression` has one output, the expected score, and is fit by squared error. `ordinal` has an output for each level k
from 1 to 5, the log-odds that the score is k or more, all along one direction (proportional odds; McCullagh, 1980); an
expected score between two levels is a soft label. In both the direction alone orders documents.
"""

from collections.abc import Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray

HeadKind = Literal["regression", "ordinal"]
Head = dict[str, Any]  # direction [D], bias [K]
HIGHEST = 5


def start(kind: HeadKind, width: int, expected: NDArray[np.float32], weights: NDArray[np.float32]) -> Head:
    """A head that says of every document what is true on average."""
    targets = targets_of(kind, expected)
    mean = np.average(targets, axis=0, weights=weights)
    inside = np.clip(mean, 0.01, 0.99)
    bias = mean if kind == "regression" else np.log(inside / (1 - inside))
    return {"direction": np.zeros(width, np.float32), "bias": bias.astype(np.float32)}


def targets_of(kind: HeadKind, expected: NDArray[np.float32]) -> NDArray[np.float32]:
    """Expected scores [N] from 0 to 5 -> what the outputs should be, [N, K]."""
    if kind == "regression":
        return expected[:, None]
    return np.clip(expected[:, None] - np.arange(HIGHEST, dtype=np.float32), 0.0, 1.0)


def outputs(head: Mapping[str, Any], features: jax.Array) -> jax.Array:
    """features [N, D] -> [N, K]."""
    scores: jax.Array = (features @ head["direction"])[:, None] + head["bias"]
    return scores


def losses(kind: HeadKind, predicted: jax.Array, targets: jax.Array) -> jax.Array:
    """Predicted outputs and targets [N, K] -> the loss of each document [N]."""
    if kind == "regression":
        return jnp.square(predicted - targets).mean(axis=-1)
    each: jax.Array = optax.sigmoid_binary_cross_entropy(predicted, targets).mean(axis=-1)
    return each


def features_of(pooled: Any, pooling: str) -> Any:
    """Pooled vectors [..., D] as a head reads them: means are brought to mean 0 and variance 1 over D, a document each.

    With that, mean pooling is one more layer of the network whose attention looks everywhere alike, which is how it
    is exported (`weights.py`). First tokens come from a layer normalisation already.
    """
    if pooling == "first":
        return pooled
    centred = pooled - pooled.mean(axis=-1, keepdims=True)
    return centred / ((centred**2).mean(axis=-1, keepdims=True) + 1e-12) ** 0.5
