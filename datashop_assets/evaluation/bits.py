"""How many bits a language model needs for each document.

Bits over UTF-8 bytes compare models whatever their tokenizer. A document longer than what a model sees at once is read
in several windows, each beginning with the last token of the one before. Windows are packed into rows with little left
empty; one sees nothing else of its row, so that a document's loss does not depend on the others. On a CPU a model has
one thread and as many run at once as there are cores; the demo's models read 70,000 tokens a second and core.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

from datashop_assets.models.llama.model import Llama, LlamaConfig, parts_of, token_losses
from datashop_assets.models.llama.weights import folder_config, load_folder
from datashop_assets.models.packing import lay_out, shortest_beside_longest
from datashop_assets.models.sharding import compiler_options, workers

BATCH_TOKENS = 4096  # tokens read at once
PADDING = -1  # no document


def document_bits(
    models: Sequence[Path],
    documents: Sequence[np.ndarray],
    end: int,
    advance: Callable[[float], None],
    *,
    length: int | None = None,
) -> np.ndarray:
    """models: M folders of one configuration; documents: N arrays of tokens -> bits, float64 [M, N].

    `end` is read before every document and is not counted. `advance` is called for every model done. `length`: tokens
    that a model sees at once, by default all that it can. Raises `FloatingPointError` where bits are no number.
    """
    first = folder_config(models[0])
    length = min(length or first.max_position_embeddings, first.max_position_embeddings)
    batch = max(1, BATCH_TOKENS // length)
    windows = windows_of(documents, length, end, batch)
    program = compiled(first, batch, length)

    def one(folder: Path) -> np.ndarray:
        model = load_folder(folder)
        if model.config != first:
            raise ValueError(f"{folder} is of another size than {models[0]}; train both with the same settings")
        bits = _bits(nnx.state(model, nnx.Param), windows, program, batch)
        found = np.bincount(windows.owners[windows.owners != PADDING], bits, minlength=len(documents))
        _check_finite(folder, found)
        advance(1)
        return found

    with ThreadPoolExecutor(workers()) as pool:
        return np.stack(list(pool.map(one, models)))


@lru_cache(maxsize=4)
def compiled(config: LlamaConfig, batch: int, length: int) -> Callable[..., jax.Array]:
    """Weights and four arrays [batch, length] (tokens, targets, segments, positions) -> nats [batch, length]."""
    shape = nnx.eval_shape(lambda: Llama(config, rngs=nnx.Rngs(0)))
    graph, weights = nnx.split(shape)

    def nats(weights: Any, tokens: jax.Array, targets: jax.Array, segments: jax.Array, places: jax.Array) -> jax.Array:
        model = nnx.merge(graph, weights)
        hidden = model.hidden(tokens, positions=places, segments=segments)
        return token_losses(model.logits, hidden, targets, parts=parts_of(batch, length, config.vocab_size))

    row = np.zeros((batch, length), dtype=np.int32)
    return jax.jit(nats).lower(weights, row, row, row, row).compile(compiler_options())


def _bits(weights: Any, windows: "Windows", program: Callable[..., jax.Array], batch: int) -> np.ndarray:
    """Bits of every prediction that counts for a document, float64 [predictions]."""
    nats = np.empty(windows.tokens.shape, dtype=np.float64)
    for first in range(0, len(nats), batch):
        rows = slice(first, first + batch)
        read = (windows.tokens[rows], windows.targets[rows], windows.segments[rows], windows.positions[rows])
        nats[rows] = program(weights, *read)
    bits: np.ndarray = nats[windows.owners != PADDING] / np.log(2)
    return bits


def _check_finite(folder: Path, bits: np.ndarray) -> None:
    """A last step may leave weights that are no numbers, and an interval that is none would seem to hold zero."""
    if bad := int((~np.isfinite(bits)).sum()):
        raise FloatingPointError(
            f"{folder}: the loss of {bad} of {len(bits)} documents is no number; lower training.learning_rate or raise "
            "training.warmup_fraction, and train again"
        )


@dataclass(frozen=True, eq=False)
class Windows:
    """R rows of T tokens."""

    tokens: np.ndarray  # [R, T] int32: what is read
    targets: np.ndarray  # [R, T] int32: what is to be predicted there
    owners: np.ndarray  # [R, T] int32: the document that the prediction counts for, or PADDING
    segments: np.ndarray  # [R, T] int32
    positions: np.ndarray  # [R, T] int32


def windows_of(documents: Sequence[np.ndarray], length: int, end: int, multiple: int) -> Windows:
    """Every token of every document is predicted exactly once. The number of rows is a multiple of `multiple`."""
    cut = [
        (index, whole[begin : begin + length + 1])  # one token more than it predicts
        for index, tokens in enumerate(documents)
        for whole in [np.concatenate([np.array([end], dtype=np.int32), tokens])]
        for begin in range(0, len(tokens), length)
    ]
    rows = shortest_beside_longest([len(tokens) - 1 for _, tokens in cut], length)
    height = -(-len(rows) // multiple) * multiple
    read = lay_out([tokens[:-1] for _, tokens in cut], rows, length, height)
    targets = lay_out([tokens[1:] for _, tokens in cut], rows, length, height).tokens
    owners = np.full(read.tokens.shape, PADDING, dtype=np.int32)
    for (index, _), (row, number) in zip(cut, read.places, strict=True):
        owners[row][read.segments[row] == number + 1] = index
    return Windows(read.tokens, targets, owners, read.segments, read.positions)
