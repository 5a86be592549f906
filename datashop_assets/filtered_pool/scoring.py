"""Scores every document of the pool, shard by shard, each shard keeping its name and order.

Shards are scored wherever the step's compute runs them; each is written whole, so a killed run goes on after its last
finished shard. Memory holds one document, what is read of a batch of them, and the scores of a row group.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

import numpy as np
import polars as pl
from numpy.typing import NDArray

from datashop_assets.core.step import StepRun
from datashop_assets.documents.pool import map_shards, pool_shards, read_index, read_pool
from datashop_assets.documents.results import PretrainingPoolResult
from datashop_assets.encoder.results import EncoderResult, PoolEmbeddingsResult, pool_vectors
from datashop_assets.encoder_kinds import trained
from datashop_assets.encoder_kinds.trained import TrainedEncoder, was_passed
from datashop_assets.filtered_pool.pool_table import read_written
from datashop_assets.filtered_pool.results import PoolScoresConfig, PoolScoresResult
from datashop_assets.storage.folders import Folder
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.storage.stage_writer import StageWriter

Batch = tuple[list[tuple[int, str]], NDArray[np.float64]]  # rows with ids, margins
BATCH = 1024  # documents scored together
BINS = 20
SCHEMA = {"row": pl.Int64, "id": pl.String, "score": pl.Float64, "margin": pl.Float64}


@dataclass(frozen=True)
class ScoreJob:
    """One shard to score. It travels between processes, so it holds places and no open files."""

    encoder: str
    pool: str
    embeddings: str | None  # for an encoder that scores vectors
    shard: str
    output: StageWriter


def score_pool(run: StepRun[PoolScoresConfig]) -> PoolScoresResult:
    """Writes `<shard>.parquet` with a score and a margin for every document."""
    encoder, pool = run.input(EncoderResult), run.input(PretrainingPoolResult)
    embeddings = run.optional_input(PoolEmbeddingsResult)
    shards = pool_shards(pool)
    jobs = [
        ScoreJob(encoder.uri, pool.uri, None if embeddings is None else embeddings.uri, shard, run.output)
        for shard in shards
        if not run.output.finished(f"{shard}.parquet")
    ]
    deque(map_shards(run.resources, "pool scores", score_shard, jobs), maxlen=0)
    return _counted(run.output, shards, encoder.result.positive_at)


def score_shard(job: ScoreJob) -> str:
    """Scores one shard and writes it, unless a worker that was lost afterwards had done so. Returns its name."""
    if job.output.finished(f"{job.shard}.parquet"):
        return job.shard
    pool = StageFolder(Folder(job.pool))
    embeddings = None if job.embeddings is None else StageFolder(Folder(job.embeddings))
    encoder = loaded(job.encoder)
    batches = pool_margins(encoder, pool, embeddings, job.shard)
    job.output.write_frames(f"{job.shard}.parquet", _scored(encoder, batches), SCHEMA)
    return job.shard


def loaded(uri: str) -> TrainedEncoder:
    """Loaded once a process, which scores many shards: loading takes as long as scoring some 10,000 documents."""
    return _cached(uri, StageFolder(Folder(uri)).manifest.content_digest)


@lru_cache(maxsize=1)
def _cached(uri: str, content: str) -> TrainedEncoder:  # noqa: ARG001, another content is another encoder
    return trained.load(StageFolder(Folder(uri)))


def pool_margins(
    encoder: TrainedEncoder, pool: StageFolder, embeddings: StageFolder | None, shard: str
) -> Iterator[Batch]:
    """A shard's documents in order, `BATCH` at a time. Batches are the same in every run.

    `embeddings`, where there are any, are read in place of texts for an encoder that scores vectors. Raises
    `ValueError` for a margin that is not a number: no rule could place it, and a threshold would drop it unseen.
    """
    if embeddings is not None and encoder.scores_embeddings:
        found = _of_vectors(encoder, pool, embeddings, shard)
    else:
        found = _of_texts(encoder, pool, shard)
    for documents, margins in found:
        if (bad := np.flatnonzero(np.isnan(margins))).size:
            row, name = documents[int(bad[0])]
            raise ValueError(
                f"row {row} of shard {shard} ({name!r}) has no number as its margin; train the encoder again"
            )
        yield documents, margins


def _of_texts(encoder: TrainedEncoder, pool: StageFolder, shard: str) -> Iterator[Batch]:
    read = ((row, document.id, encoder.read(document.text)) for row, document in read_pool(pool, shard))
    while batch := list(islice(read, BATCH)):
        yield [(row, name) for row, name, _ in batch], encoder.model.margin([text for *_, text in batch])


def _of_vectors(encoder: TrainedEncoder, pool: StageFolder, embeddings: StageFolder, shard: str) -> Iterator[Batch]:
    vectors, index, start = pool_vectors(embeddings, shard), read_index(pool, shard), 0
    while batch := [(entry["row"], entry["id"]) for entry in islice(index, BATCH)]:
        yield batch, encoder.margins_of(np.asarray(vectors[start : start + len(batch)]))
        start += len(batch)


def _scored(encoder: TrainedEncoder, batches: Iterator[Batch]) -> Iterator[pl.DataFrame]:
    for documents, margins in batches:
        scores = encoder.calibration.probability(margins)
        rows, names = [row for row, _ in documents], [name for _, name in documents]
        yield pl.DataFrame({"row": rows, "id": names, "score": scores, "margin": margins}, SCHEMA)


def _counted(output: StageWriter, shards: Sequence[str], positive_at: float) -> PoolScoresResult:
    """Counts what was written, in this run and in those before it."""
    bins, positive, not_passed = np.zeros(BINS, dtype=np.int64), 0, 0
    for shard in shards:
        for frame in read_written(output, f"{shard}.parquet", ["score", "margin"]):
            bins += np.histogram(frame["score"].to_numpy(), bins=BINS, range=(0.0, 1.0))[0]
            positive += int((frame["score"] >= positive_at).sum())
            not_passed += int((~was_passed(frame["margin"].to_numpy())).sum())
    return PoolScoresResult(
        documents=int(bins.sum()), positive=positive, not_passed=not_passed, histogram=tuple(bins.tolist())
    )
