"""Draws the pairs: a kept document and one that is not, of the same source and of similar length.

Kept documents come up in the order of a hash of their place, so that the pairs stand for what is kept. Each is paired
with a document that is not kept, drawn at random among those of its source and class of length: classes are a factor
of `RATIO` wide. A kept document without such a partner is passed over and counted, and the next one takes its place, up
to `RESERVE` for each pair. No text is in two pairs, and none was annotated before: the encoder has seen no label of it.

The pool is read twice, without its texts. Memory holds the documents that came up and a chunk, whatever the pool. More
pairs hold all those of fewer, so that asking for more asks nothing twice.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import polars as pl

from datashop_assets.blind_test.results import RATIO
from datashop_assets.documents.pool import pool_shards
from datashop_assets.documents.results import OK
from datashop_assets.statistics.draws import row_keys
from datashop_assets.storage.digests import keyed_hash
from datashop_assets.storage.shards import read_frames, rechunked
from datashop_assets.storage.stage_folder import StageFolder

RESERVE = 4  # kept documents that may come up for each pair that is wanted
CHUNK = 1 << 14  # documents
INDEX = ("row", "id", "source", "content", "characters")
NOTHING = pl.DataFrame({"row": pl.Series([], dtype=pl.Int64)})
STRATUM = ("source", "length_class")


@dataclass(frozen=True, slots=True)
class ComparedDocument:
    """A document of the pool that is compared with another, without its text."""

    shard: str
    row: int
    id: str
    source: str
    content: str
    characters: int
    score: float  # the encoder's

    @classmethod
    def of(cls, row: dict[str, Any]) -> "ComparedDocument":
        return cls(**{name: row[name] for name in cls.__slots__})

    @property
    def place(self) -> tuple[str, int]:
        return self.shard, self.row


@dataclass(frozen=True, slots=True)
class Pair:
    """`kept_first`: which document is shown first, where both are shown."""

    kept: ComparedDocument
    other: ComparedDocument
    kept_first: bool


@dataclass(frozen=True)
class DrawnPairs:
    pairs: list[Pair]
    unmatched: int  # kept documents that came up before the last pair and had no partner


def draw_pairs(pool: StageFolder, filtered: StageFolder, annotated: pl.Series, wanted: int) -> DrawnPairs:
    """At most `wanted` pairs. `annotated` holds digests of the texts that may be in none."""
    used = pl.DataFrame({"content": annotated.unique()})
    kept = _first_kept(pool, filtered, used, RESERVE * wanted)
    partners = _partners(pool, filtered, pl.concat([used, kept.select("content")]), kept)
    pairs, unmatched = list[Pair](), 0
    for row in kept.iter_rows(named=True):
        if len(pairs) == wanted:
            break
        if waiting := partners.get(_stratum(row)):
            pairs.append(Pair(ComparedDocument.of(row), ComparedDocument.of(waiting.pop(0)), kept_first=False))
        else:
            unmatched += 1
    return DrawnPairs(_in_balanced_order(pairs), unmatched)


def _first_kept(pool: StageFolder, filtered: StageFolder, used: pl.DataFrame, count: int) -> pl.DataFrame:
    """The first `count` kept documents in the order of their keys, no text twice."""
    first = pl.DataFrame()
    for chunk in _documents(pool, filtered):
        kept = _keyed(chunk.filter("kept").join(used, on="content", how="anti"))
        first = pl.concat([first, kept]) if len(first) else kept
        first = first.sort("key", "shard", "row").unique("content", keep="first", maintain_order=True).head(count)
    return first


def _partners(
    pool: StageFolder, filtered: StageFolder, used: pl.DataFrame, kept: pl.DataFrame
) -> dict[tuple[str, int], list[dict[str, Any]]]:
    """Stratum -> documents that are not kept, in the order of their keys, as many as kept ones came up there."""
    if not len(kept):
        return {}
    wanted, first = kept.group_by(STRATUM).agg(wanted=pl.len()), pl.DataFrame()
    for chunk in _documents(pool, filtered):
        others = chunk.filter(~pl.col("kept")).join(used, on="content", how="anti").join(wanted, on=STRATUM)
        others = _keyed(others)
        first = pl.concat([first, others]) if len(first) else others
        first = first.sort("key", "shard", "row").unique("content", keep="first", maintain_order=True)
        first = first.filter(pl.int_range(pl.len()).over(STRATUM) < pl.col("wanted"))
    found: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for row in first.iter_rows(named=True):
        found.setdefault(_stratum(row), []).append(row)
    return found


def _stratum(row: dict[str, Any]) -> tuple[str, int]:
    return row["source"], row["length_class"]


def _documents(pool: StageFolder, filtered: StageFolder) -> Iterator[pl.DataFrame]:
    """All documents with what the keep rule says of them, `CHUNK` at a time."""
    length_class = (pl.col("characters").cast(pl.Float64).log() / math.log(RATIO)).floor().cast(pl.Int64)
    for shard in pool_shards(pool):
        name = f"{shard}.parquet"
        index = read_frames(pool.file(name), (*INDEX, "status"))
        documents = rechunked((frame.filter(status=OK).select(INDEX) for frame in index), CHUNK)
        decided = read_frames(filtered.file(name), ("row", "score", "kept"), CHUNK)
        for known, beside in zip_longest(documents, decided, fillvalue=NOTHING):
            if not known["row"].equals(beside["row"]):
                raise ValueError(
                    f"{name} of filtered_pool does not hold the rows of the pool's documents; remove "
                    f"{filtered.uri} and materialize filtered_pool again"
                )
            together = pl.concat([known, beside.drop("row")], how="horizontal")
            yield together.with_columns(length_class=length_class, shard=pl.lit(shard))


def _keyed(chunk: pl.DataFrame) -> pl.DataFrame:
    """With a key for each document, by its place: `chunk` is of one shard."""
    shard = chunk["shard"][0] if len(chunk) else ""
    return chunk.with_columns(key=pl.Series(row_keys("blind test", shard, chunk["row"].to_numpy()), dtype=pl.UInt64))


def _in_balanced_order(pairs: list[Pair]) -> list[Pair]:
    """Of every two pairs one shows the kept document first, by a hash: a bias for a place is seen, and cancels out."""
    ordered = []
    for number, pair in enumerate(pairs):
        leads = pairs[number - number % 2]
        first = keyed_hash("blind test order", f"{leads.kept.content} {leads.other.content}") & 1
        ordered.append(Pair(pair.kept, pair.other, kept_first=bool(first) != bool(number % 2)))
    return ordered
