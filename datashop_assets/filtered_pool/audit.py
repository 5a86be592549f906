"""Scores and kept documents counted again, from what was written, by other means than those that wrote it.

Each function returns what is wrong, in words; nothing where all is exact. Memory holds one shard's columns.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import polars as pl

from datashop_assets.filtered_pool.documents import documents_name
from datashop_assets.sources.pool import pool_shards
from datashop_assets.storage.stage_folder import StageFolder


def unscored(pool: StageFolder, scores: StageFolder) -> list[str]:
    """Shards whose scores are not one for each of their documents, in order."""
    wanted, there = {f"{name}.parquet" for name in pool_shards(pool)}, {shard.name for shard in scores.shards}
    found = [f"{name} is in {place} only" for name, place in _apart(wanted, there)]
    for name in sorted(wanted & there):
        documents = _columns(pool, name, "row", "status").filter(pl.col("status") == "ok")["row"]
        scored = _columns(scores, name, "row")["row"]
        if not documents.equals(scored):
            found.append(f"{name} has {len(documents)} documents and {len(scored)} scores, or of other rows")
    return found


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
    for name, shard in _shards(filtered, scores, tokens, rule):
        marked = int(shard["kept"].sum())
        form = filtered.manifest.config["format"]
        written = filtered.manifest.file(documents_name(name.removesuffix(".parquet"), form)).rows
        if marked != written:
            found.append(f"{name} marks {marked} documents as kept and {written} were written")
        if "threshold" in rule and not shard["kept"].equals(shard["score"] >= rule["threshold"]):
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
    for _, shard in _shards(filtered, scores, tokens, rule):
        inside, left = shard.filter("kept"), shard.filter(~pl.col("kept"))
        total, kept = total + int(shard["size"].sum()), kept + int(inside["size"].sum())
        lowest = min(lowest, *inside["margin"])
        top = max(left["margin"], default=-math.inf)
        if top >= highest:
            largest = int(left.filter(pl.col("margin") == top)["size"].max() or 0)  # type: ignore[arg-type]
            highest, size = top, largest if top > highest else max(size, largest)
    return Kept(total, kept, lowest, highest, size)


def _shards(
    filtered: StageFolder, scores: StageFolder, tokens: StageFolder, rule: Mapping[str, Any]
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Every shard's documents: kept, score, margin, size. Raises `polars.ShapeError` where stages do not agree."""
    for file in scores.shards:
        table = _columns(scores, file.name, "row", "score", "margin")
        kept = _columns(filtered, file.name, "row", "kept")
        sizes = _columns(tokens, file.name, "row", "tokens") if rule.get("of") == "tokens" else None
        size = pl.repeat(1, len(table), eager=True) if sizes is None else sizes["tokens"].list.len()
        yield file.name, table.with_columns(kept=kept["kept"], size=size.cast(pl.Int64))


def _apart(wanted: set[str], there: set[str]) -> Iterator[tuple[str, str]]:
    yield from ((name, "the pool") for name in sorted(wanted - there))
    yield from ((name, "the scores") for name in sorted(there - wanted))


def _columns(folder: StageFolder, name: str, *columns: str) -> pl.DataFrame:
    return pl.read_parquet(folder.file(name), columns=list(columns))
