"""The data plan of a run: which tokens stand in which row of which step, a pure function of seed and settings.

A fixed schedule gives exactly `filtered_share` of the rows to a stream of the model's own and the rest to a stream that
control and candidate share, row for row and step for step. What differs between the two models is thus one stream: more
of the pool for the control, kept documents for the candidate.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from datashop_assets.trained_lm.draws import scramble

Keyed = list[tuple[int, np.ndarray]]  # documents as (key, tokens), lowest key first


@dataclass(frozen=True)
class Rows:
    """Packed rows: N rows of T tokens to read and the T tokens that follow them."""

    tokens: np.ndarray  # [N, T + 1] int32
    segments: np.ndarray  # [N, T] int32: a token sees only its own document
    positions: np.ndarray  # [N, T] int32: from 0 in every document


def pack(documents: Iterable[np.ndarray], rows: int, length: int, end: int) -> np.ndarray:
    """Documents one after the other, `end` before each, cut into rows: int32 [rows, length + 1].

    A row begins with the last token of the row before it, so that every token is predicted exactly once. The documents
    must hold enough tokens.
    """
    need, parts = rows * length + 1, []
    for tokens in documents:
        parts += [np.array([end], dtype=np.int32), tokens]
        need -= 1 + len(tokens)
        if need <= 0:
            break
    joined = np.concatenate(parts) if parts else np.empty(0, dtype=np.int32)
    windows = np.arange(rows)[:, None] * length + np.arange(length + 1)
    packed: np.ndarray = joined[windows]
    return packed


def laid_out(tokens: np.ndarray, end: int) -> Rows:
    """tokens [N, T + 1] with the segments and positions that follow from where documents begin."""
    read = tokens[:, :-1]
    begins = read == end
    begins[:, 0] = True
    place = np.broadcast_to(np.arange(read.shape[1]), read.shape)
    positions = place - np.maximum.accumulate(np.where(begins, place, 0), axis=1)
    return Rows(tokens, np.cumsum(begins, axis=1, dtype=np.int32), positions.astype(np.int32))


def epochs_of(documents: Keyed) -> Iterator[np.ndarray]:
    """The documents over and over: first in the order of their keys, then reshuffled by key and epoch. Never ends."""
    keys = np.array([key for key, _ in documents], dtype=np.uint64)
    epoch = 0
    while documents:
        order = np.argsort(scramble(keys + np.uint64(epoch)) if epoch else keys, kind="stable")
        yield from (documents[index][1] for index in order)
        epoch += 1


def mixed(shared: Keyed, own: Keyed, mine: np.ndarray, length: int, end: int) -> Rows:
    """The rows of a whole run; `mine` [N] are those of the own stream. A stream that is too short is repeated."""
    tokens = np.empty((len(mine), length + 1), dtype=np.int32)
    tokens[~mine] = pack(epochs_of(shared), int((~mine).sum()), length, end)
    tokens[mine] = pack(epochs_of(own), int(mine.sum()), length, end)
    return laid_out(tokens, end)
