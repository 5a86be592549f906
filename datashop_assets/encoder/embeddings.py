"""Makes `pool_embeddings`: a vector for every document of the pool, once, for every prompt that scores by vectors.

A shard is one matrix [documents, D] float16 in `<shard>.npy`, its rows those of the pool's documents in order. It is
written through a memory map, so memory holds what is read of `BATCH` documents whatever the size of the shard.
"""

import tempfile
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from datashop_assets.core.step import StepRun
from datashop_assets.documents.pool import map_shards, pool_shards, read_pool
from datashop_assets.documents.results import OK, PretrainingPoolResult
from datashop_assets.encoder.results import PoolEmbeddingsConfig, PoolEmbeddingsResult
from datashop_assets.encoder_kinds.kinds import pretrained_folder
from datashop_assets.excerpts import part_read
from datashop_assets.protocols.documents import Document
from datashop_assets.storage.digests import digest_of
from datashop_assets.storage.folders import Folder
from datashop_assets.storage.shards import read_frames
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.storage.stage_writer import StageWriter

if TYPE_CHECKING:
    from datashop_assets.models.bert.static_embeddings import StaticEmbedding

BATCH = 4096


@dataclass(frozen=True)
class EmbedJob:
    """One shard to embed. It travels between processes, so it holds places and no open files."""

    config: PoolEmbeddingsConfig
    cache: Path
    data: Path
    pool: str
    shard: str
    output: StageWriter


def embed_pool(run: StepRun[PoolEmbeddingsConfig]) -> PoolEmbeddingsResult:
    pool = run.input(PretrainingPoolResult)
    shards = pool_shards(pool)
    jobs = [
        EmbedJob(run.config, run.cache, run.data, pool.uri, shard, run.output)
        for shard in shards
        if not run.output.finished(f"{shard}.npy")
    ]
    deque(map_shards(run.resources, "pool embeddings", embed_shard, jobs), maxlen=0)
    documents, width = 0, 0
    for shard in shards:
        with run.output.folder.open(f"{shard}.npy") as file:
            np.lib.format.read_magic(file)
            (rows, width), _, _ = np.lib.format.read_array_header_1_0(file)
        documents += rows
    return PoolEmbeddingsResult(documents=documents, width=width, bytes=documents * width * 2)


def embed_shard(job: EmbedJob) -> str:
    """Embeds one shard and writes its matrix, unless a worker that was lost afterwards had done so. Returns its
    name.
    """
    name = f"{job.shard}.npy"
    if job.output.finished(name):
        return job.shard
    config, pool = job.config, StageFolder(Folder(job.pool))
    embedding = _embedding(config.model, digest_of(config.fingerprint), job.cache, job.data)
    frames = read_frames(pool.file(f"{job.shard}.parquet"), ["status"])
    shape = (sum(int((frame["status"] == OK).sum()) for frame in frames), embedding.width)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / name
        if shape[0]:
            matrix = np.lib.format.open_memmap(path, "w+", np.float16, shape)
            start = 0
            for vectors in vectors_of(embedding, read_pool(pool, job.shard), config):
                matrix[start : start + len(vectors)] = vectors
                start += len(vectors)
            matrix.flush()
        else:  # nothing can be mapped to memory
            np.save(path, np.zeros(shape, np.float16))
        job.output.put_file(name, path)
    return job.shard


@lru_cache(maxsize=1)  # another version is another embedding
def _embedding(model: str, version: str, cache: Path, data: Path) -> "StaticEmbedding":  # noqa: ARG001, see above
    """Loaded once a process, which embeds many shards."""
    from datashop_assets.encoder_kinds.static import static_embedding  # JAX, which a process that only plans is spared

    return static_embedding(pretrained_folder(model, cache, data))


def vectors_of(
    embedding: "StaticEmbedding", documents: Iterator[tuple[int, Document]], config: PoolEmbeddingsConfig
) -> Iterator[NDArray[np.float16]]:
    """The vectors of documents in order, `BATCH` at a time."""
    texts = (part_read(document.text, config.read_characters, config.reading) for _, document in documents)
    while batch := list(islice(texts, BATCH)):
        yield embedding.embed(batch)
