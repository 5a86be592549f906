"""Documents side by side in rows of one length, so that a program compiled for that length computes little padding.

Two ways to choose the rows. `first_fit`: the longest documents first, each into the first row that still has space. 64
texts of 40 to 250 tokens in rows of 256 leave 7% of the tokens empty, where padding each to one length leaves half
(2,048 documents of the embedded pool). `shortest_beside_longest`: each row has the longest document that is left, and
the shortest ones beside it; it needs one pass over documents in order of length. Documents of equal length keep their
order, so the same lengths always give the same rows. `lay_out` makes the arrays of either.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class PackedRows:
    """Rows of documents: tokens, positions, segments [rows, T] int32 (segment 0 is padding, documents count from 1).

    `places[document]` is its row and its number in that row, counted from 0. Positions count from 0 in each document.
    """

    tokens: NDArray[np.int32]
    positions: NDArray[np.int32]
    segments: NDArray[np.int32]
    places: list[tuple[int, int]]


def first_fit(lengths: Sequence[int], length: int, most: int) -> list[list[int]]:
    """Rows of indices into `lengths`, each of at most `length` tokens and at most `most` documents.

    Raises `ValueError` for a document that fits no row.
    """
    if max(lengths, default=0) > length:
        raise ValueError(f"a text of {max(lengths)} tokens fits no row of {length}; cut it first")
    rows: list[list[int]] = []
    # A binary tree over all rows that there can be; each node holds the largest free space below it. Looking through
    # the rows one by one would take the square of the documents' number.
    leaves = 1 << max(len(lengths) - 1, 0).bit_length()
    free = [length] * (2 * leaves)
    for document in sorted(range(len(lengths)), key=lambda document: -lengths[document]):
        node = 1
        while node < leaves:
            node = 2 * node if free[2 * node] >= lengths[document] else 2 * node + 1
        row = node - leaves
        if row == len(rows):
            rows.append([])
        rows[row].append(document)
        free[node] = free[node] - lengths[document] if len(rows[row]) < most else -1
        while node > 1:
            node //= 2
            free[node] = max(free[2 * node], free[2 * node + 1])
    return rows


def shortest_beside_longest(lengths: Sequence[int], length: int) -> list[list[int]]:
    """Rows of indices into `lengths`, each of at most `length` tokens: the longest that is left, then the shortest ones
    while they fit. No document may be longer than `length`.
    """
    order = sorted(range(len(lengths)), key=lambda document: lengths[document])
    rows: list[list[int]] = []
    first, last = 0, len(order) - 1
    while first <= last:
        row, free = [order[last]], length - lengths[order[last]]
        last -= 1
        while first <= last and lengths[order[first]] <= free:
            row.append(order[first])
            free -= lengths[order[first]]
            first += 1
        rows.append(row)
    return rows


def pack(documents: Sequence[Sequence[int]], length: int, most: int) -> PackedRows:
    """Token lists into rows of `length` tokens and at most `most` documents, by `first_fit`."""
    return lay_out(documents, first_fit([len(document) for document in documents], length, most), length)


def lay_out(
    documents: Sequence[Sequence[int] | NDArray[np.int32]], rows: Sequence[Sequence[int]], length: int, height: int = 0
) -> PackedRows:
    """Token lists in rows that are chosen: `rows` holds indices into `documents`. Empty rows up to `height` follow."""
    tokens, positions, segments = np.zeros((3, max(len(rows), height), length), dtype=np.int32)
    places = [(0, 0)] * len(documents)
    for row, members in enumerate(rows):
        start = 0
        for number, document in enumerate(members):
            end = start + len(documents[document])
            tokens[row, start:end] = documents[document]
            positions[row, start:end] = np.arange(end - start)
            segments[row, start:end] = number + 1
            places[document] = (row, number)
            start = end
    return PackedRows(tokens, positions, segments, places)
