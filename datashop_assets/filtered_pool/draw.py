"""A random order of the scored pool, as much of it as a certificate may look at.

The order is by keyed hash of content and id, so that it depends on no shard and no run. For every candidate threshold
it holds how many documents are kept and which of them come first. Documents whose text was annotated are left out.
Memory holds the draws and a chunk, whatever the pool.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from datashop_assets.documents.pool import pool_shards, read_chosen
from datashop_assets.documents.results import OK
from datashop_assets.filtered_pool.certify import Candidate
from datashop_assets.filtered_pool.joined import CHUNK
from datashop_assets.protocols.documents import Document
from datashop_assets.storage.digests import keyed_hash
from datashop_assets.storage.shards import read_frames, rechunked
from datashop_assets.storage.stage_folder import StageFolder

THRESHOLDS = tuple(float(score) for score in np.round(np.arange(0.95, 0.0, -0.05), 2))  # of calibrated scores
DRAWN = {"key": pl.UInt64, "score": pl.Float64, "shard": pl.String, "row": pl.Int64}


@dataclass(frozen=True)
class Drawn:
    """The beginning of the random order: `rows` with the columns of `DRAWN`, and the thresholds over it."""

    rows: pl.DataFrame
    candidates: Sequence[Candidate]


def draw(pool: StageFolder, scores: StageFolder, annotated: Collection[str], labels: int) -> Drawn:
    """For every threshold the first `labels` documents that it keeps and whose text is not in `annotated`."""
    first = {threshold: pl.DataFrame(schema=DRAWN) for threshold in THRESHOLDS}
    counts, used = dict.fromkeys(THRESHOLDS, 0), pl.Series(sorted(annotated), dtype=pl.String)
    for chunk in _keyed(pool, scores, used):
        for threshold in THRESHOLDS:
            above = chunk.filter(pl.col("score") >= threshold)
            counts[threshold] += len(above)
            first[threshold] = pl.concat([first[threshold], above]).sort("key", "shard", "row").head(labels)
    rows = pl.concat(first.values()).unique().sort("key", "shard", "row")
    return Drawn(rows, [_candidate(rows, one, counts[one], labels) for one in THRESHOLDS])


def _candidate(rows: pl.DataFrame, threshold: float, documents: int, labels: int) -> Candidate:
    places = np.flatnonzero(rows["score"].to_numpy() >= threshold)[:labels]
    return Candidate(threshold, documents, places.tolist())


def documents_of(pool: StageFolder, drawn: Drawn) -> dict[int, Document]:
    """The documents by their place in the order; each shard is read once."""
    places = {key: place for place, key in enumerate(drawn.rows.select("shard", "row").iter_rows())}
    found = {}
    for shard in sorted(set(drawn.rows["shard"])):
        rows = sorted(row for name, row in places if name == shard)
        found.update({places[shard, row]: document for row, document in read_chosen(pool, shard, rows)})
    return found


def _keyed(pool: StageFolder, scores: StageFolder, used: pl.Series) -> Iterator[pl.DataFrame]:
    """The documents that some threshold keeps, with their keys: most of a pool scores lower and needs none."""
    for shard in pool_shards(pool):
        file = f"{shard}.parquet"
        index = read_frames(pool.file(file), ("row", "id", "content", "status"))
        known = rechunked((frame.filter(status=OK) for frame in index), CHUNK)
        scored = read_frames(scores.file(file), ("row", "score"), CHUNK)
        for left, right in zip(known, scored, strict=True):
            kept = left.with_columns(right["score"]).filter(pl.col("score") >= min(THRESHOLDS))
            together = kept.filter(~pl.col("content").is_in(used.implode()))
            names = together.select("content", "id").iter_rows()
            keys = [keyed_hash("certificate", f"{content} {name}") for content, name in names]
            yield together.select(pl.Series("key", keys, pl.UInt64), "score", pl.lit(shard).alias("shard"), "row")
