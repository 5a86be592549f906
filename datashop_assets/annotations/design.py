"""Which documents of the sample are asked about, in which round, and how many of the sample each stands for.

The first round is a simple random draw of n1 from N documents. The second cuts the rest into strata by a pilot
encoder's score and draws at random within each: nh of Nh. The strata were learned from the first round, so that the
probability of being in either round is not known exactly. Two totals are, whatever the pilot learned:

    first round alone          N / n1 for each document
    both rounds, conditional   1 for each of the first (they are known), Nh / nh for each of stratum h

Each is unbiased for the sample, and so is a mixture with a share fixed beforehand: `share` of the first, the rest of
the second. It is n1 / (n1 + n2), or less where a stratum is nearly exhausted, so that no document stands for less than
itself. Draws are decided by keyed hashes of content, never by order of arrival.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from datashop_assets.annotations.results import AnnotationsConfig
from datashop_assets.documents.sampling import SAMPLE
from datashop_assets.storage.digests import keyed_hash
from datashop_assets.storage.stage_folder import StageFolder

Row = Mapping[str, Any]  # of the sample: id, source, content, and text or characters
INDEXED = ("id", "source", "content")


def index_of(sample: StageFolder) -> list[Row]:
    """`id`, `source`, `content` and `characters` of every document, in the order of the file. It fits in memory."""
    return [{name: row[name] for name in INDEXED} | {"characters": len(row["text"])} for row in sample.rows(SAMPLE)]


def documents(sample: StageFolder, contents: Container[str]) -> Iterator[Row]:
    """The rows of the sample with these contents, texts and all, in the order of the file, read in a stream."""
    return (row for row in sample.rows(SAMPLE) if row["content"] in contents)


@dataclass(frozen=True, slots=True)
class Stratum:
    """`size` documents of which `drawn` are drawn at random."""

    size: int
    drawn: int

    @property
    def probability(self) -> float:
        return self.drawn / self.size


@dataclass(frozen=True, slots=True)
class Design:
    """Both rounds over a sample of `size`. `strata` go from the lowest pilot score to the highest."""

    first: Stratum
    strata: tuple[Stratum, ...]

    @property
    def second(self) -> int:
        """Documents drawn in the second round."""
        return sum(stratum.drawn for stratum in self.strata)

    @property
    def rounds(self) -> tuple[tuple[int, int], ...]:
        """Number of each round that is asked, and how many documents it draws."""
        return tuple((number, count) for number, count in ((1, self.first.drawn), (2, self.second)) if count)

    @property
    def asked(self) -> int:
        return self.first.drawn + self.second

    @property
    def share(self) -> float:
        """How much of a weight comes from the first round's own total."""
        if not self.second:
            return 1.0
        densest = max(stratum.probability for stratum in self.strata if stratum.drawn)
        return min(self.first.drawn / self.asked, 1 - densest)

    @property
    def first_weight(self) -> float:
        """How many documents of the sample one of the first round stands for, at least 1."""
        return max(1.0, self.share / self.first.probability + (1 - self.share))

    def second_weight(self, stratum: Stratum) -> float:
        """How many one of this stratum stands for, at least 1. First and second weights add up to the sample."""
        return max(1.0, (1 - self.share) / stratum.probability)  # (1 - (1 - p)) / p rounds below 1 for some p


def design_of(size: int, config: AnnotationsConfig) -> Design:
    """The design of a sample of `size`; see `plan_rounds`."""
    return plan_rounds(size, config.documents, config.second_round.documents, config.second_round.strata)


def plan_rounds(size: int, documents: int, second: int, strata: int) -> Design:
    """`documents` in the first round and `second` in the other, or as many as a sample of `size` has.

    From the lowest score up each stratum holds half of what is left, and the last all of it: with four, the top eighth
    of documents gets a quarter of the draws. Raises `ValueError` for an empty sample.
    """
    if not size or not documents:
        raise ValueError(f"{documents} documents to annotate from a sample of {size}; both must be above 0")
    first = Stratum(size, min(documents, size))
    rest = size - first.drawn
    return Design(first, _dealt(_halves(rest, strata), min(second, rest)))


def _halves(size: int, strata: int) -> list[int]:
    sizes: list[int] = []
    for _ in range(strata - 1):
        sizes.append((size - sum(sizes) + 1) // 2)
    return [part for part in [*sizes, size - sum(sizes)] if part]


def _dealt(sizes: list[int], draws: int) -> tuple[Stratum, ...]:
    """Draws dealt one by one, from the top down, to strata that have documents left; every stratum gets its first."""
    if draws < len(sizes):
        sizes = [sum(sizes)] if draws else []
    drawn = [0] * len(sizes)
    while sum(drawn) < draws:
        for place in reversed(range(len(sizes))):
            if drawn[place] < sizes[place] and sum(drawn) < draws:
                drawn[place] += 1
    return tuple(Stratum(size, count) for size, count in zip(sizes, drawn, strict=True))


@dataclass(frozen=True, slots=True)
class DrawnDocument:
    """A document to be asked, and how it came to be drawn."""

    row: Row
    round: int  # 1 or 2
    stratum: int  # 0 in round 1; in round 2 from 1, the lowest pilot scores, upward
    draw_probability: float  # in its round, given the round before
    weight: float  # how many documents of the sample it stands for


def first_round(sample: Sequence[Row], design: Design) -> tuple[list[DrawnDocument], list[Row]]:
    """A simple random draw, and the documents that are left."""
    shuffled = _shuffled("annotations round 1", sample)
    chosen, rest = shuffled[: design.first.drawn], shuffled[design.first.drawn :]
    return [DrawnDocument(row, 1, 0, design.first.probability, design.first_weight) for row in chosen], rest


def second_round(rest: Sequence[Row], scores: Sequence[float], design: Design) -> list[DrawnDocument]:
    """A random draw within each stratum of `scores`, one score a row. Equal scores are cut by chance."""
    shuffled = _shuffled("annotations ties", rest)
    score_of = {row["content"]: score for row, score in zip(rest, scores, strict=True)}
    ordered = sorted(shuffled, key=lambda row: score_of[row["content"]])
    drawn, start = [], 0
    for number, stratum in enumerate(design.strata, start=1):
        drawn += _within(ordered[start : start + stratum.size], number, stratum, design)
        start += stratum.size
    return drawn


def _within(rows: Sequence[Row], number: int, stratum: Stratum, design: Design) -> list[DrawnDocument]:
    chosen = _shuffled("annotations round 2", rows)[: stratum.drawn]
    return [DrawnDocument(row, 2, number, stratum.probability, design.second_weight(stratum)) for row in chosen]


def _shuffled(key: str, rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: keyed_hash(key, row["content"]))
