"""Scores and kept documents counted again, from what was written, by other means than those that wrote it.

Each function returns what is wrong, in words; nothing where all is exact. Memory holds 16,384 documents'
columns.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby, zip_longest
from operator import itemgetter
from typing import Any

import polars as pl

from datashop_assets.documents.pool import pool_shards
from datashop_assets.documents.results import OK
from datashop_assets.filtered_pool.documents import documents_name
from datashop_assets.filtered_pool.joined import CHUNK
from datashop_assets.storage.shards import read_frames, rechunked
from datashop_assets.storage.stage_folder import StageFolder


def unscored(pool: StageFolder, scores: StageFolder) -> list[str]:
    """Shards whose scores are not one for each of their documents, in order."""
    wanted, there = {f"{name}.parquet" for name in pool_shards(pool)}, {shard.name for shard in scores.shards}
    found = [f"{name} is in {place} only" for name, place in _apart(wanted, there)]
    for name in sorted(wanted & there):
        documents, scored, same = _compared(pool, scores, name)
        if not same:
            found.append(f"{name} has {documents} documents and {scored} scores, or of other rows")
    return found


def _compared(pool: StageFolder, scores: StageFolder, name: str) -> tuple[int, int, bool]:
    """Documents and scores of a shard, and whether they are of the same rows."""
    index = _columns(pool, name, "row", "status")
    documents = rechunked((frame.filter(status=OK).select("row") for frame in index), CHUNK)
    counts, same = [0, 0], True
    for chunks in zip_longest(documents, _columns(scores, name, "row"), fillvalue=pl.DataFrame()):
        counts = [count + len(chunk) for count, chunk in zip(counts, chunks, strict=True)]
        same = same and chunks[0].equals(chunks[1])
    return counts[0], counts[1], same


@dataclass(frozen=True)
class Kept:
    """What the rule is held against: sizes in documents or tokens, and the margins on both sides of the cut."""

    total: int
    kept: int
    lowest_kept: float
    highest_left: float
    next_size: int  # the largest size among the documents that are left and stand highest


def miskept(rule: Mapping[str, Any], filtered: StageFolder, scores: StageFolder, tokens: StageFolder) -> list[str]:
    """Where the kept documents are not exactly those of the rule."""
    found = []
    for name, chunks in groupby(_chunks(filtered, scores, tokens, rule), itemgetter(0)):
        marked, exact = 0, True
        for _, chunk in chunks:
            marked += int(chunk["kept"].sum())
            exact = exact and ("threshold" not in rule or chunk["kept"].equals(chunk["score"] >= rule["threshold"]))
        form = filtered.manifest.config["format"]
        written = filtered.manifest.file(documents_name(name.removesuffix(".parquet"), form)).rows
        if marked != written:
            found.append(f"{name} marks {marked} documents as kept and {written} were written")
        if not exact:
            found.append(f"{name} does not keep exactly the scores from {rule['threshold']} upward")
    return found if "threshold" in rule else found + _off_fraction(rule, _sums(filtered, scores, tokens, rule))


def _off_fraction(rule: Mapping[str, Any], sums: Kept) -> list[str]:
    budget = rule["budget"] if "budget" in rule else int(Decimal(repr(rule["fraction"])) * sums.total)
    share = rule.get("fraction", "a budget")
    said = f"{share} of {sums.total} {rule['of']} are {budget}, {sums.kept} are kept"
    found = [] if sums.kept <= budget else [said]
    if sums.kept + sums.next_size <= budget and sums.kept < sums.total:
        found.append(f"{said}; the next document, of {sums.next_size}, would fit")
    if sums.lowest_kept < sums.highest_left:
        found.append(f"margin {sums.lowest_kept} is kept and {sums.highest_left} is left out")
    return found


def _sums(filtered: StageFolder, scores: StageFolder, tokens: StageFolder, rule: Mapping[str, Any]) -> Kept:
    total, kept, lowest, highest, size = 0, 0, math.inf, -math.inf, 0
    for _, chunk in _chunks(filtered, scores, tokens, rule):
        inside, left = chunk.filter("kept"), chunk.filter(~pl.col("kept"))
        total, kept = total + int(chunk["size"].sum()), kept + int(inside["size"].sum())
        lowest = min(lowest, *inside["margin"])
        top = max(left["margin"], default=-math.inf)
        if top >= highest:
            largest = int(left.filter(pl.col("margin") == top)["size"].max() or 0)  # type: ignore[arg-type]
            highest, size = top, largest if top > highest else max(size, largest)
    return Kept(total, kept, lowest, highest, size)


def _chunks(
    filtered: StageFolder, scores: StageFolder, tokens: StageFolder, rule: Mapping[str, Any]
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Every shard's name with its documents, a chunk at a time: kept, score, margin, size.

    Raises `ValueError` or `polars.ShapeError` where stages do not agree.
    """
    by_tokens = rule.get("of") == "tokens"
    size = (pl.col("length") if by_tokens else pl.lit(1)).cast(pl.Int64).alias("size")
    for name in (file.name for file in scores.shards):
        beside = [_columns(filtered, name, "kept"), *([_columns(tokens, name, "length")] if by_tokens else [])]
        for chunk, *others in zip(_columns(scores, name, "row", "score", "margin"), *beside, strict=True):
            yield name, chunk.with_columns(*(other.to_series() for other in others)).with_columns(size)


def _apart(wanted: set[str], there: set[str]) -> Iterator[tuple[str, str]]:
    yield from ((name, "the pool") for name in sorted(wanted - there))
    yield from ((name, "the scores") for name in sorted(there - wanted))


def _columns(folder: StageFolder, name: str, *columns: str) -> Iterator[pl.DataFrame]:
    return read_frames(folder.file(name), columns, CHUNK)
