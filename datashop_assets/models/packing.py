"""Documents side by side in rows of one length, so that a program compiled for that length computes no padding."""

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Packed:
    """Rows of documents: tokens, positions, segments [rows, T] int32 (segment 0 is padding, documents count from 1).

    `places[document]` is its row and its number in that row, counted from 0.
    """

    tokens: NDArray[np.int32]
    positions: NDArray[np.int32]
    segments: NDArray[np.int32]
    places: list[tuple[int, int]]


def pack(documents: Sequence[Sequence[int]], length: int, most: int) -> Packed:
    """Best-fit decreasing: the longest documents first, each into the fullest row that still has room for it.

    A row has room for `length` tokens and `most` documents.
    """
    rows: list[list[int]] = []
    waiting: dict[int, list[int]] = {}  # rows that take more documents, a heap for each room: the first row first
    rooms: list[int] = []  # those that some row has, ascending: looking through all rows would take time squared
    for document in sorted(range(len(documents)), key=lambda place: -len(documents[place])):
        size = len(documents[document])
        place = bisect_left(rooms, size)
        if place == len(rooms):
            row, left = len(rows), length - size
            rows.append([])
        else:
            row, left = heappop(waiting[rooms[place]]), rooms[place] - size
            if not waiting[rooms[place]]:
                del rooms[place]
        rows[row].append(document)
        if len(rows[row]) < most:
            if not waiting.setdefault(left, []):
                insort(rooms, left)
            heappush(waiting[left], row)
    return _filled(documents, rows, length)


def _filled(documents: Sequence[Sequence[int]], rows: Sequence[Sequence[int]], length: int) -> Packed:
    tokens, positions, segments = np.zeros((3, len(rows), length), dtype=np.int32)
    places = [(0, 0)] * len(documents)
    for row, inside in enumerate(rows):
        start = 0
        for number, document in enumerate(inside):
            end = start + len(documents[document])
            tokens[row, start:end] = documents[document]
            positions[row, start:end] = np.arange(end - start)
            segments[row, start:end] = number + 1
            places[document] = (row, number)
            start = end
    return Packed(tokens, positions, segments, places)
