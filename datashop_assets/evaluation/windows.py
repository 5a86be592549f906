"""Documents cut into windows that a model reads, and packed into rows with little left empty.

A document longer than a window is read in several, each beginning with the last token of the one before. A window sees
nothing else of its row, so that a document's loss does not depend on the others.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

NOBODY = -1


@dataclass(frozen=True, eq=False)
class Windows:
    """R rows of T tokens."""

    tokens: np.ndarray  # [R, T] int32: what is read
    targets: np.ndarray  # [R, T] int32: what is to be predicted there
    owners: np.ndarray  # [R, T] int32: the document that the prediction counts for, or NOBODY
    segments: np.ndarray  # [R, T] int32
    positions: np.ndarray  # [R, T] int32

    @classmethod
    def empty(cls, rows: int, length: int) -> "Windows":
        zeros = [np.zeros((rows, length), dtype=np.int32) for _ in range(4)]
        return cls(zeros[0], zeros[1], np.full((rows, length), NOBODY, dtype=np.int32), zeros[2], zeros[3])


Piece = tuple[int, np.ndarray]  # a document's index and the tokens of one window, one more than it predicts


def cut(documents: Sequence[np.ndarray], length: int, end: int) -> list[Piece]:
    """Every document with `end` before it, in pieces that predict `length` tokens at most."""
    pieces: list[Piece] = []
    for index, tokens in enumerate(documents):
        whole = np.concatenate([np.array([end], dtype=np.int32), tokens])
        pieces += [(index, whole[begin : begin + length + 1]) for begin in range(0, len(tokens), length)]
    return pieces


def packed(documents: Sequence[np.ndarray], length: int, end: int, multiple: int) -> Windows:
    """Every token of every document is predicted exactly once. The number of rows is a multiple of `multiple`."""
    rows = list(_filled(sorted(cut(documents, length, end), key=lambda piece: (len(piece[1]), piece[0])), length))
    windows = Windows.empty(-(-len(rows) // multiple) * multiple, length)
    for row, pieces in enumerate(rows):
        begin = 0
        for segment, (index, tokens) in enumerate(pieces, start=1):
            place = (row, slice(begin, begin + len(tokens) - 1))
            windows.tokens[place], windows.targets[place] = tokens[:-1], tokens[1:]
            windows.owners[place], windows.segments[place] = index, segment
            windows.positions[place] = np.arange(len(tokens) - 1)
            begin += len(tokens) - 1
    return windows


def _filled(pieces: list[Piece], length: int) -> Iterator[list[Piece]]:
    """Rows of pieces, shortest first given: the longest that is left, then the shortest ones while they fit."""
    first, last = 0, len(pieces) - 1
    while first <= last:
        row, free = [pieces[last]], length - len(pieces[last][1]) + 1
        last -= 1
        while first <= last and len(pieces[first][1]) - 1 <= free:
            row.append(pieces[first])
            free -= len(pieces[first][1]) - 1
            first += 1
        yield row
