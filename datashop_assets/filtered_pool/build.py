"""Makes the filtered pool: `<shard>.jsonl.zst` with the kept documents, `<shard>.parquet` with what became of each.

Pool shards keep their names and order. A kept document keeps all its fields and gains `datashop_score` (calibrated
probability) and `datashop_prompt` (the prompt's slug). The rule ranks held-out documents too and keeps them where they
belong; `split` in the attributes says which they are, and no training reads them.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import tee

import numpy as np
import polars as pl
from numpy.typing import NDArray

from datashop_assets.filtered_pool.counts import counts_of
from datashop_assets.filtered_pool.joined import Joined, join
from datashop_assets.filtered_pool.keep import decide
from datashop_assets.filtered_pool.shards import read_written
from datashop_assets.sources.gold import load_gold
from datashop_assets.sources.pool import read_chosen
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
    for shard in joined.names:
        marked = attributes(joined, shard, flags)
        if task.output.finished(f"{shard}.parquet"):
            deque(marked, maxlen=0)  # the flags are one stream over all shards
        else:
            task.output.write_frames(f"{shard}.parquet", marked, SCHEMA, beside=True)
    _write_kept(task, joined.names)
    gold = load_gold(task.cache, task.config["gold_uri"]) if task.config["gold"] else {}
    return {**decision, **counts_of(joined, task.output, gold, task.config["gold"])}


def attributes(joined: Joined, shard: str, flags: Iterator[NDArray[np.bool_]]) -> Iterator[pl.DataFrame]:
    """What became of a shard's documents; takes its chunks' flags from `flags`."""
    for chunk in joined.chunks(shard, ("row", "id", "score", "split")):
        yield chunk.with_columns(kept=pl.Series(next(flags)))


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
    rows, scores = tee(_kept_scores(job))
    documents = read_chosen(StageFolder(Folder(job.pool)), job.shard, (row for row, _ in rows))
    added = {"datashop_prompt": job.slug}
    job.output.write_rows(
        f"{job.shard}.jsonl.zst",
        ({**document.fields, "datashop_score": next(scores)[1], **added} for _, document in documents),
    )
    return job.shard


def _kept_scores(job: KeepJob) -> Iterator[tuple[int, float]]:
    for frame in read_written(job.output, f"{job.shard}.parquet", ["row", "score", "kept"]):
        yield from frame.filter("kept").select("row", "score").iter_rows()
