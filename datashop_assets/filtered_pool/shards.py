"""Columns of shards, one shard in memory at a time."""

from collections.abc import Sequence

import polars as pl

from datashop_assets.storage.stage_writer import StageWriter


def read_written(output: StageWriter, name: str, columns: Sequence[str]) -> pl.DataFrame:
    """Columns of a Parquet shard that the stage itself has written, in this run or in one that was killed."""
    with output.folder.open(name) as file:
        return pl.read_parquet(file, columns=list(columns))
