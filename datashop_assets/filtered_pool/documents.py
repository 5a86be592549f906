"""Kept documents as they are written: `documents/<shard>.jsonl.zst` or `documents/<shard>.parquet`.

JSON lines hold whatever fields a document has. A Parquet file has columns, one schema for all shards: the types of all
kept documents are looked at before the first file is written.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, tee
from typing import Any

import pyarrow as pa

from datashop_assets.core.step import OpenRun
from datashop_assets.documents.pool import map_shards, read_chosen
from datashop_assets.filtered_pool.shards import read_written
from datashop_assets.storage.folders import Folder
from datashop_assets.storage.shards import DOCUMENT_ROWS
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.storage.stage_writer import StageWriter

FOLDER = "documents"


@dataclass(frozen=True)
class KeepJob:
    """One shard whose kept documents are to be written. It travels between processes."""

    pool: str
    shard: str
    slug: str
    format: str
    output: StageWriter
    schema: pa.Schema | None = None  # of Parquet files

    @property
    def name(self) -> str:
        return documents_name(self.shard, self.format)


def documents_name(shard: str, form: str) -> str:
    return f"{FOLDER}/{shard}.{form}"


def write_all(run: OpenRun, shards: Iterable[str]) -> None:
    """Writes the kept documents of every shard that is not written yet, wherever the stage's compute does it."""
    pool, slug, form = run.inputs["pretraining_pool"].uri, run.config["slug"], run.config["format"]
    jobs = [KeepJob(pool, shard, slug, form, run.output) for shard in shards]
    if form == "parquet":
        schema = pa.unify_schemas(
            list(map_shards(run.resources, "columns", schema_of, jobs)), promote_options="permissive"
        )
        _refuse_empty(schema)
        jobs = [KeepJob(pool, job.shard, slug, form, run.output, schema) for job in jobs]
    unwritten = [job for job in jobs if not run.output.finished(job.name)]
    deque(map_shards(run.resources, "filtered pool", write_kept, unwritten), maxlen=0)


def write_kept(job: KeepJob) -> str:
    """Writes one shard's kept documents, in order, unless a worker that was lost afterwards had done so. Returns its
    name.
    """
    if not job.output.finished(job.name):
        job.output.write_rows(job.name, kept_documents(job), job.schema)
    return job.shard


def schema_of(job: KeepJob) -> pa.Schema:
    """The columns that hold all kept documents of a shard. Raises `ValueError` where no column holds a field's values:
    types that differ, or an integer of more than 64 bits.
    """
    rows, found = kept_documents(job), pa.schema([])
    while batch := list(islice(rows, DOCUMENT_ROWS)):
        try:
            found = pa.unify_schemas([found, pa.schema(pa.array(batch).type)], promote_options="permissive")
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
            raise ValueError(
                f"the documents of shard {job.shard} have no common columns ({error}); set keep.format to jsonl.zst"
            ) from error
    return found


def _refuse_empty(schema: pa.Schema) -> None:
    """Raises `ValueError` for a field that is an object without fields in every document: Parquet cannot hold it."""
    if empty := [field.name for field in schema if _is_empty(field.type)]:
        raise ValueError(
            f"in all kept documents {', '.join(map(repr, empty))} is or holds an object without fields, for which "
            "Parquet has no column; set keep.format to jsonl.zst"
        )


def _is_empty(kind: pa.DataType) -> bool:
    inner = [kind.field(place).type for place in range(kind.num_fields)]
    return (pa.types.is_struct(kind) and not inner) or any(map(_is_empty, inner))


def kept_documents(job: KeepJob) -> Iterator[Mapping[str, Any]]:
    """All fields of every kept document, and `datashop_score` and `datashop_prompt`."""
    rows, scores = tee(_kept_scores(job))
    documents = read_chosen(StageFolder(Folder(job.pool)), job.shard, (row for row, _ in rows))
    for (_, document), (_, score) in zip(documents, scores, strict=True):
        yield {**document.fields, "datashop_score": score, "datashop_prompt": job.slug}


def _kept_scores(job: KeepJob) -> Iterator[tuple[int, float]]:
    for frame in read_written(job.output, f"{job.shard}.parquet", ["row", "score", "kept"]):
        yield from frame.filter("kept").select("row", "score").iter_rows()
