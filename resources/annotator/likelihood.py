"""The likelihood of each offered answer, for many documents: the arithmetic of the embedded annotator.

What comes before the document is computed once. Documents are packed into rows of one length, so that one program is
compiled (1 s) whatever comes; on a CPU for one thread, as many at once as there are cores.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from datashop_assets.models.attention import KeysValues
from datashop_assets.models.llama.model import Llama
from datashop_assets.models.packing import first_fit
from datashop_assets.models.sharding import compiler_options, workers

MOST_IN_A_ROW = 8


class Rows(NamedTuple):
    """Packed sequences, as one call of the model takes them."""

    tokens: np.ndarray  # [rows, length]
    positions: np.ndarray  # [rows, length], counted from the beginning of each sequence, after the prefix
    segments: np.ndarray  # [rows, length], 0 where nothing stands
    ends: np.ndarray  # [rows, MOST_IN_A_ROW], where each sequence ends


class Likelihood:
    """Answers for token sequences that all follow the same `before`."""

    def __init__(self, model: Llama, before: Sequence[int], options: Sequence[int], *, rows: int, length: int) -> None:
        self._graph, self._weights = nnx.split(model)
        self._options = jnp.asarray(options, dtype=jnp.int32)
        self._rows, self._length = rows, length
        self._prefix = _remember(self._graph, self._weights, jnp.asarray(before, dtype=jnp.int32))
        fixed = (self._weights, self._prefix, self._options)
        program = _option_logits.lower(self._graph, *fixed, self._laid_out([], [])).compile(compiler_options())
        self._program = partial(program, *fixed)

    def answer(self, sequences: Sequence[Sequence[int]]) -> np.ndarray:
        """The probability of each option after each sequence, float64 [sequences, options]; each row adds up to one."""
        found = np.empty((len(sequences), len(self._options)))
        packed = first_fit([len(sequence) for sequence in sequences], self._length, MOST_IN_A_ROW)
        batches = [packed[first : first + self._rows] for first in range(0, len(packed), self._rows)]
        with ThreadPoolExecutor(workers()) as pool:
            computed = pool.map(lambda batch: np.asarray(self._program(self._laid_out(batch, sequences))), batches)
            for batch, logits in zip(batches, computed, strict=True):
                for row, indices in enumerate(batch):
                    found[indices] = logits[row, : len(indices)]
        return _softmax(found)

    def _laid_out(self, batch: list[list[int]], sequences: Sequence[Sequence[int]]) -> Rows:
        tokens, positions, segments = (np.zeros((self._rows, self._length), dtype=np.int32) for _ in range(3))
        ends = np.zeros((self._rows, MOST_IN_A_ROW), dtype=np.int32)
        before = self._prefix.keys.shape[1]
        for row, indices in enumerate(batch):
            start = 0
            for place, index in enumerate(indices):
                stop = start + len(sequences[index])
                tokens[row, start:stop] = sequences[index]
                positions[row, start:stop] = np.arange(before, before + stop - start)
                segments[row, start:stop] = place + 1
                ends[row, place], start = stop - 1, stop
        return Rows(tokens, positions, segments, ends)


@partial(jax.jit, static_argnums=0)
def _remember(graph: Any, weights: Any, before: jax.Array) -> KeysValues:
    return nnx.merge(graph, weights).remember(before)  # type: ignore[no-any-return]


@partial(jax.jit, static_argnums=0)
def _option_logits(graph: Any, weights: Any, prefix: KeysValues, options: jax.Array, rows: Rows) -> jax.Array:
    """[rows, MOST_IN_A_ROW, options]: logits where sequences end. The rest of the vocabulary takes no part."""
    model = nnx.merge(graph, weights)
    hidden = model.hidden(rows.tokens, positions=rows.positions, segments=rows.segments, prefix=prefix)
    last = jnp.take_along_axis(hidden, rows.ends[:, :, None], axis=1)
    return model.logits(last)[..., options]  # type: ignore[no-any-return]


def _softmax(logits: np.ndarray) -> np.ndarray:
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))
