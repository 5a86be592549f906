"""Scores every document of the pool, shard by shard, each shard keeping its name and order.

Shards are scored wherever the stage's compute runs them; each is written whole, so a killed run goes on after its last
finished shard. Memory holds one document, what is read of a batch of them, and the scores of a row group.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import polars as pl

from datashop_assets.core.step import Metrics, OpenRun
from datashop_assets.documents.pool import map_shards, pool_shards
from datashop_assets.encoder import trained
from datashop_assets.encoder.cascade import was_passed
from datashop_assets.encoder.pool_margins import Batch, pool_margins
from datashop_assets.encoder.trained import TrainedEncoder
from datashop_assets.filtered_pool.shards import read_written
from datashop_assets.storage.folders import Folder
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.storage.stage_writer import StageWriter

BINS = 20
SCHEMA = {"row": pl.Int64, "id": pl.String, "score": pl.Float64, "margin": pl.Float64}


@dataclass(frozen=True)
class ScoreJob:
    """One shard to score. It travels between processes, so it holds places and no open files."""

    encoder: str
    pool: str
    embeddings: str
    shard: str
    output: StageWriter


def build(run: OpenRun) -> Metrics:
    """Metrics: documents, the histogram of scores in `BINS` equal bins, and the share scored 0.5 or more."""
    encoder, pool, embeddings = (run.inputs[name] for name in ("encoder", "pretraining_pool", "pool_embeddings"))
    shards = pool_shards(pool)
    jobs = [
        ScoreJob(encoder.uri, pool.uri, embeddings.uri, shard, run.output)
        for shard in shards
        if not run.output.finished(f"{shard}.parquet")
    ]
    deque(map_shards(run.resources, "pool scores", score_shard, jobs), maxlen=0)
    return _metrics(run.output, shards)


def score_shard(job: ScoreJob) -> str:
    """Scores one shard and writes it, unless a worker that was lost afterwards had done so. Returns its name."""
    if job.output.finished(f"{job.shard}.parquet"):
        return job.shard
    encoder = _loaded(job.encoder)
    pool, embeddings = StageFolder(Folder(job.pool)), StageFolder(Folder(job.embeddings))
    batches = pool_margins(encoder, pool, embeddings, job.shard)
    job.output.write_frames(f"{job.shard}.parquet", scored(encoder, batches), SCHEMA)
    return job.shard


def _loaded(uri: str) -> TrainedEncoder:
    return _encoder(uri, StageFolder(Folder(uri)).manifest.content_digest)


@lru_cache(maxsize=1)
def _encoder(uri: str, content: str) -> TrainedEncoder:  # noqa: ARG001, another content is another encoder
    """Loaded once a process, which scores many shards: loading takes as long as scoring some 10,000 documents."""
    return trained.load(StageFolder(Folder(uri)))


def scored(encoder: TrainedEncoder, batches: Iterator[Batch]) -> Iterator[pl.DataFrame]:
    """A row for every document, in order."""
    for documents, margins in batches:
        scores = encoder.calibration.probability(margins)
        rows, names = [row for row, _ in documents], [name for _, name in documents]
        yield pl.DataFrame({"row": rows, "id": names, "score": scores, "margin": margins}, SCHEMA)


def _metrics(output: StageWriter, shards: list[str]) -> Metrics:
    counts, positive, not_passed = np.zeros(BINS, dtype=np.int64), 0, 0
    for shard in shards:
        for frame in read_written(output, f"{shard}.parquet", ["score", "margin"]):
            counts += np.histogram(frame["score"].to_numpy(), bins=BINS, range=(0.0, 1.0))[0]
            positive += int((frame["score"] >= 0.5).sum())
            not_passed += int((~was_passed(frame["margin"].to_numpy())).sum())
    documents = int(counts.sum())
    return {
        "documents": documents,
        "positive": positive,
        "not_passed": not_passed,  # kept from a cascade's second encoder
        "positive_share": positive / documents if documents else None,
        "histogram": counts.tolist(),
    }
