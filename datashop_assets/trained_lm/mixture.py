"""The data plan of a run: which tokens stand in which row of which step, a pure function of seed and settings.

A fixed schedule gives exactly `filtered_share` of the rows to a stream of the model's own and the rest to a stream that
control and candidate share, row for row and step for step. What differs between the two models is thus one stream: more
of the pool for the control, kept documents for the candidate.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from datashop_assets.trained_lm.draws import scramble
from datashop_assets.trained_lm.training_pool import Piece

Keyed = list[tuple[int, Piece]]  # documents by key, lowest first
Laid = tuple[np.ndarray, np.ndarray, np.ndarray]  # tokens [B, T + 1], segments [B, T], positions [B, T], int32


@dataclass(frozen=True)
class Rows:
    """A stream, or a whole run, cut into N rows: T tokens to read and the T tokens that follow them."""

    tokens: np.ndarray  # [N, T + 1] int32
    end: int  # the token before every document
    ids: list[str]  # of documents, in the order in which a stream holds them
    first: np.ndarray  # [N] int64: where in `ids` a row's documents begin
    last: np.ndarray  # [N] int64: and end, that one included

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits that other rows do not have."""
        return hashlib.blake2b(self.tokens.data, digest_size=4).hexdigest()

    def ids_of(self, row: int) -> list[str]:
        """The documents that row reads."""
        return self.ids[self.first[row] : self.last[row] + 1]

    def laid_out(self, rows: slice) -> Laid:
        """Some rows with the segments and positions that follow from where documents begin.

        A token sees only its own segment; positions count from 0 in every document.
        """
        tokens = self.tokens[rows]
        begins = tokens[:, :-1] == self.end
        begins[:, 0] = True
        place = np.arange(begins.shape[1], dtype=np.int32)
        positions = place - np.maximum.accumulate(np.where(begins, place, 0), axis=1)
        return tokens, np.cumsum(begins, axis=1, dtype=np.int32), positions


def pack(documents: Iterable[Piece], rows: int, length: int, end: int) -> Rows:
    """Documents one after the other, `end` before each, cut into rows.

    A row begins with the last token of the row before it, so that every token is predicted exactly once. The documents
    must hold enough tokens.
    """
    need, parts, ids, begins = rows * length + 1, [], [], [0]
    for piece in documents:
        parts += [np.array([end], dtype=np.int32), piece.tokens]
        ids.append(piece.id)
        begins.append(begins[-1] + 1 + len(piece.tokens))
        if begins[-1] >= need:
            break
    joined = np.concatenate(parts) if parts else np.empty(0, dtype=np.int32)
    starts = np.arange(rows) * length
    places = np.array(begins[1:])
    first, last = (np.searchsorted(places, at, side="right") for at in (starts, starts + length))
    return Rows(joined[starts[:, None] + np.arange(length + 1)], end, ids, first, last)


def epochs_of(documents: Keyed) -> Iterator[Piece]:
    """The documents over and over: first in the order of their keys, then reshuffled by key and epoch. Never ends."""
    keys = np.array([key for key, _ in documents], dtype=np.uint64)
    epoch = 0
    while documents:
        order = np.argsort(scramble(keys + np.uint64(epoch)) if epoch else keys, kind="stable")
        yield from (documents[index][1] for index in order)
        epoch += 1


def mixed(shared: Keyed, own: Keyed, mine: np.ndarray, length: int, end: int) -> Rows:
    """The rows of a whole run; `mine` [N] are those of the own stream. A stream that is too short is repeated."""
    one = pack(epochs_of(shared), int((~mine).sum()), length, end)
    two = pack(epochs_of(own), int(mine.sum()), length, end)
    tokens = np.empty((len(mine), length + 1), dtype=np.int32)
    tokens[~mine], tokens[mine] = one.tokens, two.tokens
    first, last = np.empty(len(mine), dtype=np.int64), np.empty(len(mine), dtype=np.int64)
    first[~mine], first[mine] = one.first, two.first + len(one.ids)
    last[~mine], last[mine] = one.last, two.last + len(one.ids)
    return Rows(tokens, end, one.ids + two.ids, first, last)
