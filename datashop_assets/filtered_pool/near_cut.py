"""Decisions that another machine might take otherwise: documents that stand within 1e-5 of the cut.

Implementations and processors differ in the last digits of a margin: float64 sums of fastText's rows in the last of 16,
networks in float32 by some 1e-6. Stock fastText sums in float32: on the 11,709 documents of the embedded pool its
probabilities were up to 1.1e-6 away, its margins up to 7e-6, which is why the band is not narrower.
"""

from typing import Any

import polars as pl

from datashop_assets.filtered_pool.joined import Joined
from datashop_assets.filtered_pool.shards import read_written
from datashop_assets.storage.stage_writer import StageWriter

NEAR = 1e-5
LISTED = 100  # in pool order; the attributes hold the scores of all


def near_cut(joined: Joined, output: StageWriter, decision: dict[str, Any]) -> dict[str, Any]:
    """How many documents stand within `NEAR` of the cut, the one at the cut among them, and the first `LISTED`."""
    if decision["cut"] is None:  # everything is kept
        return {"near_cut": 0, "near_cut_documents": []}
    by = "score" if "threshold" in decision["rule"] else "margin"
    count, listed = 0, pl.DataFrame()
    for shard in joined.names:
        chunks = joined.chunks(shard, ("row", "id", "margin", "score"))
        for chunk, written in zip(chunks, read_written(output, f"{shard}.parquet", ["kept"]), strict=True):
            near = chunk.with_columns(written["kept"], shard=pl.lit(shard)).filter(
                (pl.col(by) - decision["cut"]).abs() <= NEAR
            )
            count += len(near)
            listed = pl.concat([listed, near.head(LISTED - len(listed))]) if len(near) else listed
    return {"near_cut": count, "near_cut_documents": listed.to_dicts()}
