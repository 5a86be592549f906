"""Makes the filtered pool: `<shard>.jsonl.zst` with the kept documents, `<shard>.parquet` with what became of each.

Pool shards keep their names and order. A kept document keeps all its fields and gains `datashop_score` (calibrated
probability) and `datashop_prompt` (the prompt's slug). The rule ranks held-out documents too and keeps them where they
belong; `split` in the attributes says which they are, and no training reads them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from datashop_assets.filtered_pool.counts import counts_of
from datashop_assets.filtered_pool.joined import Joined, join
from datashop_assets.filtered_pool.keep import decide
from datashop_assets.filtered_pool.shards import read_written
from datashop_assets.sources.gold import load_gold
from datashop_assets.sources.pool import read_pool
from datashop_assets.stage import Metrics, StageTask
from datashop_assets.storage.folders import Folder
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.storage.stage_writer import StageWriter

SCHEMA = {"row": pl.Int64, "id": pl.String, "score": pl.Float64, "split": pl.String, "kept": pl.Boolean}


@dataclass(frozen=True)
class KeepJob:
    """One shard whose kept documents are to be written. It travels between processes."""

    pool: str
    shard: str
    slug: str
    output: StageWriter


def build(task: StageTask) -> Metrics:
    """Metrics: the rule, budget and ties at the cut; kept documents and tokens, also by source and split; gold."""
    rule = task.config["keep"]
    joined = join(task, sized_by_tokens=rule.get("of") == "tokens")
    flags, decision = decide(rule, joined.shards)
    for shard, kept in zip(joined.names, flags, strict=True):
        if not task.output.finished(f"{shard}.parquet"):
            task.output.write_rows(f"{shard}.parquet", attributes(joined, shard, kept), SCHEMA, beside=True)
    _write_kept(task, joined.names)
    gold = load_gold(task.cache, task.config["gold_uri"]) if task.config["gold"] else {}
    return {**decision, **counts_of(joined, task.output, gold, task.config["gold"])}


def attributes(joined: Joined, shard: str, kept: NDArray[np.bool_]) -> Iterator[dict[str, Any]]:
    table = joined.columns(shard, ("row", "id", "score", "split")).with_columns(kept=pl.Series(kept))
    return table.iter_rows(named=True)


def _write_kept(task: StageTask, shards: Sequence[str]) -> None:
    pool, slug = task.inputs["pretraining_pool"].uri, task.config["slug"]
    jobs = [
        KeepJob(pool, shard, slug, task.output) for shard in shards if not task.output.finished(f"{shard}.jsonl.zst")
    ]
    results = task.tools.compute.map(write_kept, jobs) if task.tools.compute else map(write_kept, jobs)
    with task.tools.progress.bar("filtered pool", len(jobs), "shards") as bar:
        for _ in results:
            bar.advance()


def write_kept(job: KeepJob) -> str:
    """Writes one shard's kept documents, in order. Returns its name."""
    chosen = read_written(job.output, f"{job.shard}.parquet", ["row", "score", "kept"]).filter("kept")
    scores = dict(zip(chosen["row"], chosen["score"], strict=True))
    documents = read_pool(StageFolder(Folder(job.pool)), job.shard)
    job.output.write_rows(
        f"{job.shard}.jsonl.zst",
        (
            {**document.fields, "datashop_score": scores[row], "datashop_prompt": job.slug}
            for row, document in documents
            if row in scores
        ),
    )
    return job.shard
