"""Which training documents share text with what the models are evaluated on; they are left out of all training.

A document that shares one run of 13 words with an evaluation document, or holds all words of one that has 8 to 12, is
left out (n-gram overlap after Brown et al., 2020, arXiv:2005.14165, appendix C, whole documents instead of stretches of
them). Evaluation documents are all held-out ones of the pool, whatever a prompt measures, and those that a prompt names
beside them. So prompts that name none share one result, and one control. Memory holds 12 bytes a word of the evaluation
documents; 6 MB of text take 3 s.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl

from datashop_assets.core.step import Metrics, OpenRun
from datashop_assets.documents.pool import map_shards, pool_shards, read_chosen, read_index
from datashop_assets.documents.reading import fields_of, read_documents
from datashop_assets.documents.results import OTHERS
from datashop_assets.documents.sources import source_files
from datashop_assets.documents.split import Split
from datashop_assets.protocols.documents import Document
from datashop_assets.storage.folders import Folder
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.storage.stage_writer import StageWriter
from datashop_assets.trained_lm.ngrams import SHORTEST, NgramIndex, hashed, runs, words_at, words_of

HELDOUT = "held-out"
SCHEMA = {
    "row": pl.Int64,
    "id": pl.String,
    "source": pl.String,
    "ngrams": pl.Int64,  # of the document
    "shared": pl.Int64,  # of them, those that an evaluation document has
    "example": pl.String,  # the first one
    "set": pl.String,  # where that one stands: `held-out`, or the address of named documents
    "evaluation_id": pl.String,
}
Named = tuple[tuple[str, str], str]  # set and id, text


@dataclass(frozen=True)
class Job:
    """One shard to read. It travels between processes, so it holds places and no open files."""

    pool: str
    shard: str
    index: Path
    output: StageWriter


def build(run: OpenRun) -> Metrics:
    """Writes, for every shard, the training documents that are left out, each with an example of what it shares."""
    pool, size = run.inputs["pretraining_pool"], run.config["ngram"]
    named = list(_named(run.config["sets"], run.cache))
    short = sum(len(words_of(text)) < min(size, SHORTEST) for _, text in named)
    index = NgramIndex.of(chain(_heldout(pool), named), size)
    path = _saved(index, run.output.scratch / "ngrams.npz")
    shards = pool_shards(pool)
    missing = [shard for shard in shards if not run.output.finished(f"{shard}.parquet")]
    jobs = [Job(pool.uri, shard, path, run.output) for shard in missing]
    deque(map_shards(run.resources, "decontaminating", read_shard, jobs), maxlen=0)
    facts = {"evaluation_ngrams": len(index.hashes), "evaluation_documents": len(index.names)}
    return {**facts, "named_documents": len(named), "named_too_short": short, **_counts(run, shards)}


def read_shard(job: Job) -> str:
    """Reads one shard and writes what is left out of it. Returns its name."""
    with np.load(job.index, allow_pickle=False) as saved:
        index = NgramIndex(
            saved["hashes"], saved["owners"], orjson.loads(saved["names"].tobytes()), saved["sizes"].tolist()
        )
    pool = StageFolder(Folder(job.pool))
    found = overlaps(_of_split(pool, job.shard, Split.TRAIN), index)
    job.output.write_rows(f"{job.shard}.parquet", found, SCHEMA)
    return job.shard


def overlaps(documents: Iterable[tuple[int, Document]], index: NgramIndex) -> Iterator[dict[str, Any]]:
    """A row for every document that shares an n-gram with the index."""
    for row, document in documents:
        words = hashed(document.text)
        for size in index.sizes:
            found = index.found(runs(words, size))
            if (places := np.flatnonzero(found >= 0)).size:
                yield {"row": row, **_overlap(document, index, size, found, places)}
                break


def _overlap(document: Document, index: NgramIndex, size: int, found: np.ndarray, places: np.ndarray) -> dict[str, Any]:
    which, name = index.names[found[places[0]]]
    return {
        "id": document.id,
        "source": document.source,
        "ngrams": len(found),
        "shared": len(places),
        "example": words_at(document.text, int(places[0]), size),
        "set": which,
        "evaluation_id": name,
    }


def left_out(folder: StageFolder, shard: str) -> np.ndarray:
    """The rows of a shard that may not be trained on: int64 [N]."""
    rows: np.ndarray = folder.table(f"{shard}.parquet")["row"].to_numpy()
    return rows


def _heldout(pool: StageFolder) -> Iterator[Named]:
    for shard in pool_shards(pool):
        yield from (((HELDOUT, one.id), one.text) for _, one in _of_split(pool, shard, Split.HELDOUT))


def _of_split(pool: StageFolder, shard: str, split: Split) -> Iterator[tuple[int, Document]]:
    return read_chosen(pool, shard, (row["row"] for row in read_index(pool, shard) if row["split"] == split))


def _named(sets: Iterable[Mapping[str, Any]], cache: Path) -> Iterator[Named]:
    """The documents that a prompt names. Raises `ValueError` for data that hold none: they would pass for clean."""
    for one in sets:
        data, empty = one["data"], True
        for found in _documents(data, cache):
            empty = False
            yield (data["uri"], found.id), found.text
        if empty:
            raise ValueError(
                f"{data['uri']} has no document with text in the field {data['text_field']!r}, so nothing could be "
                "left out of training for it; correct uri or text_field in evaluation.benchmarks or evaluation.targets"
            )


def _documents(data: Mapping[str, Any], cache: Path) -> Iterator[Document]:
    for file in source_files(data["uri"], cache):
        yield from (found for found in read_documents(file, fields_of(data)) if isinstance(found, Document))


def _saved(index: NgramIndex, path: Path) -> Path:
    names = np.frombuffer(orjson.dumps(index.names), dtype=np.uint8)  # an array of strings is as wide as the longest
    np.savez(path, hashes=index.hashes, owners=index.owners, names=names, sizes=index.sizes)
    return path


def _counts(run: OpenRun, shards: list[str]) -> Metrics:
    parts = [_written(run.output, shard) for shard in shards]
    table = pl.concat(parts).sort("set", "source") if parts else pl.DataFrame(schema=SCHEMA)
    named = list(run.inputs["pretraining_pool"].metrics["by_source"])  # a source field may hold a URL
    source = pl.when(pl.col("source").is_in(named)).then("source").otherwise(pl.lit(OTHERS)).alias("source")
    by_source = table.group_by(source, maintain_order=True).len()
    by_set = table.group_by("set", maintain_order=True).len()
    return {
        "left_out": len(table),
        "left_out_by_source": dict(by_source.sort("source").iter_rows()),
        "left_out_by_set": dict(by_set.sort("set").iter_rows()),
    }


def _written(output: StageWriter, shard: str) -> pl.DataFrame:
    with output.folder.open(f"{shard}.parquet") as file:
        return pl.read_parquet(file, columns=["source", "set"])
