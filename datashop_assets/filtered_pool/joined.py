"""What is known of every pool document, side by side: score, source, split, content, tokens; one file a shard.

Choosing reads a shard's margins up to nine times. They are joined once into Arrow files in the
stage's scratch folder; memory holds one shard's columns.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from datashop_assets.filtered_pool.keep import Keys, Shard
from datashop_assets.sources.pool import pool_shards, read_index
from datashop_assets.stage import StageTask
from datashop_assets.storage.digests import keyed_hash
from datashop_assets.storage.stage_folder import StageFolder

STAGES = ("pretraining_pool", "pool_scores", "pool_tokens")
INDEX: Mapping[str, Any] = {"row": pl.Int64} | dict.fromkeys(("id", "source", "split", "content"), pl.String)


@dataclass(frozen=True)
class Joined:
    """The joined shards of a pool, in pool order. `sized_by_tokens` says what the keep rule counts."""

    names: Sequence[str]
    folder: Path
    sized_by_tokens: bool

    def columns(self, shard: str, columns: Sequence[str]) -> pl.DataFrame:
        return pl.read_ipc(self.folder / f"{shard}.arrow", columns=list(columns))

    def shards(self) -> Iterator[Shard]:
        """What the keep rule sees, shard by shard."""
        for name in self.names:
            table = self.columns(name, ("margin", "score", "tokens"))
            sizes = table["tokens"] if self.sized_by_tokens else pl.repeat(1, len(table), dtype=pl.Int64, eager=True)
            yield Shard(
                table["margin"].to_numpy(),
                table["score"].to_numpy(),
                sizes.to_numpy(),
                lambda chosen, name=name: self._ties(name, chosen),  # type: ignore[misc]
            )

    def _ties(self, shard: str, chosen: NDArray[np.bool_]) -> Keys:
        """Hashes of documents by content and id: two documents with one text are still told apart."""
        table = self.columns(shard, ("content", "id")).filter(pl.Series(chosen))
        return np.array([keyed_hash("keep", f"{content} {name}") for content, name in table.iter_rows()], np.uint64)


def join(task: StageTask, sized_by_tokens: bool) -> Joined:
    """Joins every shard that is not joined yet. Raises `ValueError` naming a shard whose stages do not agree."""
    names = pool_shards(task.inputs["pretraining_pool"])
    for name in names:
        place = task.output.scratch / f"{name}.arrow"
        if not place.exists():
            ready = place.with_suffix(".part")
            join_shard(name, *(task.inputs[stage] for stage in STAGES)).write_ipc(ready)
            ready.replace(place)
    return Joined(names, task.output.scratch, sized_by_tokens)


def join_shard(name: str, pool: StageFolder, scores: StageFolder, tokens: StageFolder) -> pl.DataFrame:
    """The columns of one shard in pool order, one row a document."""
    index = pl.DataFrame([{column: row[column] for column in INDEX} for row in read_index(pool, name)], INDEX)
    scored = scores.table(f"{name}.parquet")
    lengths = tokens.table(f"{name}.parquet").select("row", pl.col("tokens").list.len().cast(pl.Int64))
    for stage, table in (("pool_scores", scored), ("pool_tokens", lengths)):
        if not table["row"].equals(index["row"]):
            raise ValueError(
                f"shard {name}: {stage} has {len(table)} rows and the pool {len(index)} documents, or they are not the "
                f"same ones; remove the folder of {stage} and materialize it again"
            )
    return pl.concat([index, scored.select("score", "margin"), lengths.select("tokens")], how="horizontal")
