"""One pass over the scored pool: how scores, sources and what is kept lie, and which documents stand at the cut.

A shard's part is a small JSON value, kept in scratch, so that a killed card goes on after the last shard and memory
does not grow with the pool.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import polars as pl

from datashop_assets.core.step import OpenRun
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.storage.writing import on_disk

BINS = 100  # of the score from 0 to 1
SHOWN = 8  # documents of each kind of sample
CELL = ("source", "bin", "kept")
NAMED = ("shard", "row", "id", "source", "split", "score", "kept")
Scanned = dict[str, Any]


@dataclass(frozen=True)
class Scan:
    """The whole pool: counts by source, bin of the score and kept or not; and samples, each in its order."""

    cells: pl.DataFrame  # source, bin, kept, documents, bytes
    best: Sequence[dict[str, Any]]
    above: Sequence[dict[str, Any]]  # the lowest scores kept
    below: Sequence[dict[str, Any]]  # the highest scores rejected

    @property
    def samples(self) -> list[dict[str, Any]]:
        return [*self.best, *self.above, *self.below]


def scan(run: OpenRun, shards: Sequence[str]) -> Scan:
    """Scans every shard that an interrupted run has not scanned yet, and puts the parts together."""
    pool, kept = (run.inputs[name] for name in ("pretraining_pool", "filtered_pool"))
    parts = []
    with run.resources.progress.bar("data card: scores", len(shards), "shards") as bar:
        for shard in shards:
            place = run.output.scratch / f"{shard}.scan.json"
            if not place.exists():
                scanned = scan_shard(attributes(pool, kept, shard))
                with on_disk(place) as file:
                    file.write(orjson.dumps(scanned))
            parts.append(orjson.loads(place.read_bytes()))
            bar.advance()
    return merged(parts)


def attributes(pool: StageFolder, kept: StageFolder, shard: str) -> pl.DataFrame:
    """Every document of a shard without its text: what the index and the keep rule say of it."""
    index = pool.table(f"{shard}.parquet").select("row", "source", "bytes")
    decided = kept.table(f"{shard}.parquet").select("row", "id", "split", "score", "kept")
    return decided.join(index, on="row", how="left").with_columns(
        pl.lit(shard).alias("shard"),
        (pl.col("score").clip(0, 1) * BINS).floor().clip(0, BINS - 1).cast(pl.Int64).alias("bin"),
    )


def scan_shard(table: pl.DataFrame) -> Scanned:
    cells = table.group_by(CELL).agg(documents=pl.len().cast(pl.Int64), bytes=pl.col("bytes").sum()).sort(CELL)
    named = table.select(NAMED)
    return {
        "cells": cells.rows(),
        "best": _first(named, descending=True),
        "above": _first(named.filter("kept"), descending=False),
        "below": _first(named.filter(~pl.col("kept")), descending=True),
    }


def merged(parts: Iterable[Scanned]) -> Scan:
    parts = list(parts)
    schema = {"source": pl.String, "bin": pl.Int64, "kept": pl.Boolean, "documents": pl.Int64, "bytes": pl.Int64}
    rows = [row for part in parts for row in part["cells"]]
    cells = pl.DataFrame(rows, schema, orient="row").group_by(CELL).sum().sort(CELL)
    return Scan(
        cells,
        list(_of(parts, "best", descending=True)),
        list(_of(parts, "above", descending=False)),
        list(_of(parts, "below", descending=True)),
    )


def _of(parts: Sequence[Scanned], kind: str, *, descending: bool) -> Iterator[dict[str, Any]]:
    found = [row for part in parts for row in part[kind]]
    sign = -1 if descending else 1
    yield from sorted(found, key=lambda row: (sign * row["score"], row["shard"], row["row"]))[:SHOWN]


def _first(table: pl.DataFrame, *, descending: bool) -> list[dict[str, Any]]:
    return table.sort(["score", "row"], descending=[descending, False]).head(SHOWN).to_dicts()
