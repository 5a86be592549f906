"""Columns of shards, a chunk in memory at a time."""

from collections.abc import Iterator, Sequence

import polars as pl

from datashop_assets.filtered_pool.joined import CHUNK
from datashop_assets.storage.shards import read_frames
from datashop_assets.storage.stage_writer import StageWriter


def read_written(output: StageWriter, name: str, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Columns of a Parquet shard that the stage itself has written, in this run or in one that was killed."""
    with output.folder.open(name) as file:
        yield from read_frames(file, columns, CHUNK)
