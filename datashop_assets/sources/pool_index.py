"""Builds `pretraining_pool`: an index of the source files, one row for every row in them. No text is copied.

Two passes over the files, each file on its own: the first gathers the MinHash bands of the held-out documents, the
second writes the index with every document's split. Memory holds the bands and 8,192 rows of the index, so it grows
with the held-out documents (128 bytes each), not with the pool nor with a file. On one core a pass reads some 80,000
short documents/s and hashes 6,000.
"""

import io
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl

from datashop_assets.core.step import OpenRun
from datashop_assets.datasets import EMBEDDED
from datashop_assets.protocols.documents import Document, Reject
from datashop_assets.sources.counts import Counts
from datashop_assets.sources.embedded import DOCUMENTS, embedded_pool
from datashop_assets.sources.files import SourceFile, find_source_files
from datashop_assets.sources.mapping import map_files
from datashop_assets.sources.near_duplicates import Hashes
from datashop_assets.sources.readers import fields_of
from datashop_assets.sources.split import FileTask, SplitRule, content_of, heldout_bands
from datashop_assets.storage.shards import read_rows
from datashop_assets.storage.stage_writer import StageWriter
from datashop_assets.storage.writing import on_disk

OK = "ok"
BANDS = "heldout_bands.npy"
SOURCES = "sources.json"
SCHEMA = {
    "row": pl.Int64,
    "id": pl.String,
    "source": pl.String,
    "status": pl.String,
    "detail": pl.String,
    "characters": pl.Int64,
    "bytes": pl.Int64,
    "content": pl.String,
    "split": pl.String,
}
IndexRow = dict[str, Any]


def build(run: OpenRun) -> dict[str, Any]:
    """Writes `<shard>.parquet` for every source file, `sources.json` and `heldout_bands.npy`; returns the counts."""
    data, fraction = run.config["data"], run.config["heldout_fraction"]
    files = source_files(data["uri"], run.cache)
    tasks = [FileTask(file, fields_of(data), SplitRule(fraction)) for file in files]
    known = _gather_bands(run, tasks)
    run.output.put_bytes(BANDS, _as_npy(known))
    sources = [{**data, "pool": data["uri"], **_entry(file)} for file in files]
    run.output.put_bytes(SOURCES, orjson.dumps(sources), identity=False)  # paths and times differ elsewhere
    counts = _write_index(run, [replace(one, rule=SplitRule(fraction, known)) for one in tasks])
    return {"files": len(files), "heldout_fraction": fraction, **found_documents(data, counts)}


def found_documents(data: Mapping[str, Any], counts: Counts) -> dict[str, Any]:
    """The counts as metrics. Raises `ValueError` where no row is a document, which a wrong field name does."""
    metrics = counts.metrics()
    if not metrics["documents"]:
        raise ValueError(
            f"none of the {counts.rows} rows of {data['uri']!r} is a document ({counts.rejects}); "
            f"correct text_field, which is {data['text_field']!r}, in the prompt's data setting"
        )
    return metrics


def _entry(file: SourceFile) -> dict[str, Any]:
    return {field: getattr(file, field) for field in ("shard", "name", "uri", "bytes", "version")}


def source_files(uri: str, cache: Path) -> list[SourceFile]:
    """The files of a pool; those of the embedded pool are made in `cache` if they are not there."""
    return find_source_files(str(embedded_pool(cache) / DOCUMENTS) if uri == EMBEDDED else uri)


def index_file(run: FileTask, output: StageWriter) -> tuple[str, Counts]:
    """Writes a file's part of the index, a row at a time, unless a worker that was lost afterwards had done so. Returns
    its shard's name, and what the file holds.
    """
    if output.finished(f"{run.file.shard}.parquet"):
        return run.file.shard, _counts(output, run.file.shard)
    rows = (index_row(row, found, run.rule) for row, found in enumerate(run.documents()))
    counts, shard = Counts.empty(), run.file.shard
    output.write_rows(f"{shard}.parquet", counts.counting(shard, rows), SCHEMA)
    return shard, counts


def index_row(row: int, found: Document | Reject, rule: SplitRule) -> IndexRow:
    """What the index says of one row; of a reject only its reason and detail."""
    if isinstance(found, Reject):
        return dict.fromkeys(SCHEMA) | {"row": row, "status": found.reason, "detail": found.detail}
    content = content_of(found.text)
    return {
        "row": row,
        "id": found.id,
        "source": found.source,
        "status": OK,
        "detail": "",
        "characters": len(found.text),
        "bytes": len(found.text.encode()),
        "content": content,
        "split": str(rule.of(found.text, content)),
    }


def _gather_bands(run: OpenRun, tasks: list[FileTask]) -> Hashes:
    """All band keys of held-out documents, sorted; each file's are kept in scratch for a build that is killed."""
    kept = {one.file.shard: run.output.scratch / f"{one.file.shard}.npy" for one in tasks}
    missing = [one for one in tasks if not kept[one.file.shard].exists()]
    for shard, keys in map_files(run.resources, "pool: held-out documents", heldout_bands, missing):
        with on_disk(kept[shard]) as file:
            file.write(_as_npy(keys))
    return np.unique(np.concatenate([np.load(path) for path in kept.values()]))


def _write_index(run: OpenRun, tasks: list[FileTask]) -> Counts:
    missing = [one for one in tasks if not run.output.finished(f"{one.file.shard}.parquet")]
    counted = dict(map_files(run.resources, "pool: index", partial(index_file, output=run.output), missing))
    shards = [one.file.shard for one in tasks]
    return Counts.merged(counted[shard] if shard in counted else _counts(run.output, shard) for shard in shards)


def _counts(output: StageWriter, shard: str) -> Counts:
    """Of a file whose index was written before this run."""
    with output.folder.open(f"{shard}.parquet") as file:
        return Counts.of(shard, read_rows(f"{shard}.parquet", file))


def _as_npy(keys: Hashes) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, keys, allow_pickle=False)
    return buffer.getvalue()
