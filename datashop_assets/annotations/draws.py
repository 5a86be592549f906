"""Which documents are asked: two random draws, decided by keyed hashes of content and never by order of arrival."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from datashop_assets.annotations.design import Design, Stratum
from datashop_assets.storage.digests import keyed_hash

Row = Mapping[str, Any]  # of the sample: id, text, source, content


@dataclass(frozen=True, slots=True)
class Drawn:
    """A document to be asked, and how it came to be drawn."""

    row: Row
    round: int  # 1 or 2
    stratum: int  # 0 in round 1; in round 2 from 1, the lowest pilot scores, upward
    draw_probability: float  # in its round, given the round before
    weight: float  # how many documents of the sample it stands for


def first_round(sample: Sequence[Row], design: Design) -> tuple[list[Drawn], list[Row]]:
    """A simple random draw, and the documents that are left."""
    shuffled = _shuffled("annotations round 1", sample)
    chosen, rest = shuffled[: design.first.drawn], shuffled[design.first.drawn :]
    return [Drawn(row, 1, 0, design.first.probability, design.first_weight) for row in chosen], rest


def second_round(rest: Sequence[Row], scores: Sequence[float], design: Design) -> list[Drawn]:
    """A random draw within each stratum of `scores`, one score a row. Equal scores are cut by chance."""
    shuffled = _shuffled("annotations ties", rest)
    score_of = {row["content"]: score for row, score in zip(rest, scores, strict=True)}
    ordered = sorted(shuffled, key=lambda row: score_of[row["content"]])
    drawn, start = [], 0
    for number, stratum in enumerate(design.strata, start=1):
        drawn += _within(ordered[start : start + stratum.size], number, stratum, design)
        start += stratum.size
    return drawn


def _within(rows: Sequence[Row], number: int, stratum: Stratum, design: Design) -> list[Drawn]:
    chosen = _shuffled("annotations round 2", rows)[: stratum.drawn]
    return [Drawn(row, 2, number, stratum.probability, design.second_weight(stratum)) for row in chosen]


def _shuffled(key: str, rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: keyed_hash(key, row["content"]))
