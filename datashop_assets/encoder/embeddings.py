"""Makes `pool_embeddings`: a vector for every document of the pool, once, for every prompt that scores by vectors.

A shard is one matrix [documents, D] float16 in `<shard>.npy`, its rows those of the pool's documents in order. It is
written through a memory map, so memory holds what is read of `BATCH` documents whatever the size of the shard.
"""

import json
import tempfile
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from datashop_assets.core.step import Metrics, OpenRun
from datashop_assets.documents.pool import map_shards, pool_shards, read_pool
from datashop_assets.documents.results import OK
from datashop_assets.excerpts import Part, excerpt
from datashop_assets.protocols.documents import Document
from datashop_assets.storage.digests import digest_of
from datashop_assets.storage.folders import Folder
from datashop_assets.storage.shards import read_frames
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.storage.stage_writer import StageWriter

if TYPE_CHECKING:
    from datashop_assets.models.bert.static_embeddings import StaticEmbedding

STATE = "state.json"
BATCH = 4096


@dataclass(frozen=True)
class EmbedJob:
    """One shard to embed. It travels between processes, so it holds places and no open files."""

    model: str
    version: str  # a digest that changes with the model's files
    cache: Path
    read_characters: int
    reading: Part
    pool: str
    shard: str
    output: StageWriter


def build(run: OpenRun) -> Metrics:
    """Metrics: the state, `made` or `not asked`; documents, width and bytes of what was made."""
    state = "made" if run.config["asked"] else "not asked"
    run.output.put_bytes(STATE, json.dumps({"state": state}).encode())
    if not run.config["asked"]:
        return {"state": state}
    shards = pool_shards(run.inputs["pretraining_pool"])
    jobs = [_job(run, shard) for shard in shards if not run.output.finished(f"{shard}.npy")]
    deque(map_shards(run.resources, "pool embeddings", embed_shard, jobs), maxlen=0)
    return {"state": state, **_sizes(run.output, shards)}


def _job(run: OpenRun, shard: str) -> EmbedJob:
    model, read, reading = (run.config[name] for name in ("model", "read_characters", "reading"))
    version = digest_of(run.config.get("fingerprint"))
    return EmbedJob(model, version, run.cache, read, reading, run.inputs["pretraining_pool"].uri, shard, run.output)


def embed_shard(job: EmbedJob) -> str:
    """Embeds one shard and writes its matrix, unless a worker that was lost afterwards had done so. Returns its
    name.
    """
    if job.output.finished(f"{job.shard}.npy"):
        return job.shard
    embedding, pool = _embedding(job.model, job.version, job.cache), StageFolder(Folder(job.pool))
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / f"{job.shard}.npy"
        matrix = _matrix(path, (documents_of(pool, job.shard), embedding.width))
        start = 0
        for vectors in _embedded(embedding, read_pool(pool, job.shard), job):
            matrix[start : start + len(vectors)] = vectors
            start += len(vectors)
        if isinstance(matrix, np.memmap):
            matrix.flush()
        job.output.put_file(path.name, path)
    return job.shard


@lru_cache(maxsize=1)
def _embedding(model: str, version: str, cache: Path) -> "StaticEmbedding":  # noqa: ARG001, another version is another
    """Loaded once a process, which embeds many shards."""
    from datashop_assets.encoder.static import embedding_of  # JAX, which a process that reads vectors is spared

    return embedding_of(model, cache)


def vectors_of(folder: StageFolder, shard: str) -> NDArray[np.float16]:
    """The matrix of one shard, read from disk as it is used. Raises `KeyError` where there is none."""
    path = folder.file(f"{shard}.npy")
    empty = path.stat().st_size == _HEADER
    return np.asarray(np.load(path, mmap_mode=None if empty else "r", allow_pickle=False))


def documents_of(pool: StageFolder, shard: str) -> int:
    """How many of a shard's rows are documents."""
    index = read_frames(pool.file(f"{shard}.parquet"), ["status"])
    return sum(int((frame["status"] == OK).sum()) for frame in index)


_HEADER = 128  # bytes of an .npy file before its numbers


def _matrix(path: Path, shape: tuple[int, int]) -> NDArray[np.float16]:
    if not shape[0]:  # nothing can be mapped to memory
        np.save(path, np.zeros(shape, np.float16))
    return np.lib.format.open_memmap(path, "w+", np.float16, shape) if shape[0] else np.zeros(shape, np.float16)


def _embedded(
    embedding: "StaticEmbedding", documents: Iterator[tuple[int, Document]], job: EmbedJob
) -> Iterator[NDArray[np.float16]]:
    texts = (excerpt(document.text, job.read_characters, job.reading)[0] for _, document in documents)
    while batch := list(islice(texts, BATCH)):
        yield embedding.embed(batch)


def _sizes(output: StageWriter, shards: list[str]) -> dict[str, Any]:
    documents, width = 0, 0
    for shard in shards:
        with output.folder.open(f"{shard}.npy") as file:
            np.lib.format.read_magic(file)
            (rows, width), _, _ = np.lib.format.read_array_header_1_0(file)
        documents += rows
    return {"documents": documents, "width": width, "bytes": documents * width * 2}
