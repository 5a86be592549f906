"""Makes the filtered pool: the kept documents in `documents/`, and `<shard>.parquet` with what became of each one.

Pool shards keep their names and order. A kept document keeps all its fields and gains `datashop_score` (calibrated
probability) and `datashop_prompt` (the prompt's slug). The rule ranks held-out documents too and keeps them where they
belong; `split` in the attributes says which they are, and no training reads them.
"""

from collections import deque
from collections.abc import Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from datashop_assets.core.step import Metrics, OpenRun
from datashop_assets.documents.embedded import load_gold
from datashop_assets.filtered_pool.certificate import certified_rule
from datashop_assets.filtered_pool.counts import counts_of
from datashop_assets.filtered_pool.documents import write_all
from datashop_assets.filtered_pool.joined import Joined, join
from datashop_assets.filtered_pool.keep import decide
from datashop_assets.filtered_pool.near_cut import near_cut

SCHEMA = {"row": pl.Int64, "id": pl.String, "score": pl.Float64, "split": pl.String, "kept": pl.Boolean}


def build(run: OpenRun) -> Metrics:
    """Metrics: the rule, budget and cut; documents near it; kept documents and tokens, by source and split; gold."""
    rule = certified_rule(run.config["keep"], run.inputs["keep_certificate"])
    joined = join(run, sized_by_tokens=rule.get("of") == "tokens")
    flags, decision = decide(rule, joined.shards)
    for shard in joined.names:
        marked = attributes(joined, shard, flags)
        if run.output.finished(f"{shard}.parquet"):
            deque(marked, maxlen=0)  # the flags are one stream over all shards
        else:
            run.output.write_frames(f"{shard}.parquet", marked, SCHEMA, beside=True)
    write_all(run, joined.names)
    gold = load_gold(run.cache, run.config["gold_uri"]) if run.config["gold"] else {}
    near = near_cut(joined, run.output, decision)
    named = run.inputs["pretraining_pool"].metrics["by_source"]
    return {**decision, **near, **counts_of(joined, run.output, named, gold, run.config["gold"])}


def attributes(joined: Joined, shard: str, flags: Iterator[NDArray[np.bool_]]) -> Iterator[pl.DataFrame]:
    """What became of a shard's documents; takes its chunks' flags from `flags`."""
    for chunk in joined.chunks(shard, ("row", "id", "score", "split")):
        yield chunk.with_columns(kept=pl.Series(next(flags)))
