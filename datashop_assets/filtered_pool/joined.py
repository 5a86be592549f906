"""What is known of every pool document, side by side: score, source, split, content, tokens; one file a shard.

Choosing reads a shard's margins up to nine times. They are joined once into Arrow files in the stage's scratch folder,
`CHUNK` documents at a time: memory holds one chunk's columns, however large the shard.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from datashop_assets.core.step import OpenRun
from datashop_assets.documents.pool import pool_shards
from datashop_assets.documents.results import OK
from datashop_assets.filtered_pool.keep import Keys, Shard
from datashop_assets.storage.digests import keyed_hash
from datashop_assets.storage.shards import read_frames, rechunked
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.storage.writing import replacing

CHUNK = 1 << 14  # documents
STAGES = ("pretraining_pool", "pool_scores", "pool_tokens")
INDEX = ("row", "id", "source", "split", "content")
NOTHING = pl.DataFrame({"row": pl.Series([], dtype=pl.Int64)})


@dataclass(frozen=True)
class Joined:
    """The joined shards of a pool, in pool order. `sized_by_tokens` says what the keep rule counts."""

    names: Sequence[str]
    folder: Path
    sized_by_tokens: bool

    def chunks(self, shard: str, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Columns of one shard, `CHUNK` documents at a time."""
        with pa.memory_map(str(self.folder / f"{shard}.arrow")) as file:
            reader = pa.ipc.open_file(file)
            for number in range(reader.num_record_batches):
                batch = reader.get_batch(number).select(list(columns))
                yield pl.DataFrame(pl.from_arrow(pa.Table.from_batches([batch])))

    def shards(self) -> Iterator[Shard]:
        """What the keep rule sees, chunk by chunk."""
        for name in self.names:
            for table in self.chunks(name, ("margin", "score", "tokens", "content", "id")):
                yield self._seen(table)

    def _seen(self, table: pl.DataFrame) -> Shard:
        def ties(chosen: NDArray[np.bool_]) -> Keys:
            """Hashes of documents by content and id: two documents with one text are still told apart."""
            rows = table.select("content", "id").filter(pl.Series(chosen)).iter_rows()
            return np.array([keyed_hash("keep", f"{content} {name}") for content, name in rows], np.uint64)

        sizes = table["tokens"].to_numpy() if self.sized_by_tokens else np.ones(len(table), np.int64)
        return Shard(table["margin"].to_numpy(), table["score"].to_numpy(), sizes, ties)


def join(run: OpenRun, sized_by_tokens: bool) -> Joined:
    """Joins every shard that is not joined yet. Raises `ValueError` naming a shard whose stages do not agree."""
    names = pool_shards(run.inputs["pretraining_pool"])
    for name in names:
        place = run.output.scratch / f"{name}.arrow"
        if not place.exists():
            with replacing(place) as ready:
                write_joined(ready, join_shard(name, *(run.inputs[stage] for stage in STAGES)))
    return Joined(names, run.output.scratch, sized_by_tokens)


def write_joined(place: Path, chunks: Iterator[pl.DataFrame]) -> None:
    schema = dict.fromkeys(INDEX[1:], pl.String) | {"score": pl.Float64, "margin": pl.Float64, "tokens": pl.Int64}
    arrow = pl.DataFrame(schema={"row": pl.Int64, **schema}).to_arrow().schema
    with pa.OSFile(str(place), "wb") as file, pa.ipc.new_file(file, arrow) as writer:
        for chunk in chunks:
            writer.write_table(chunk.to_arrow().cast(arrow).combine_chunks(), max_chunksize=CHUNK)


def join_shard(name: str, pool: StageFolder, scores: StageFolder, tokens: StageFolder) -> Iterator[pl.DataFrame]:
    """The columns of one shard in pool order, one row a document, `CHUNK` at a time."""
    file = f"{name}.parquet"
    documents = read_frames(pool.file(file), (*INDEX, "status"))
    index = rechunked((frame.filter(status=OK).select(INDEX) for frame in documents), CHUNK)
    scored = read_frames(scores.file(file), ("row", "score", "margin"), CHUNK)
    sized = read_frames(tokens.file(file), ("row", "length"), CHUNK)
    for known, *others in zip_longest(index, scored, sized, fillvalue=NOTHING):
        for stage, table in zip(STAGES[1:], others, strict=True):
            _refuse_others(name, stage, known, table)
        beside = pl.concat([known, *(table.drop("row") for table in others)], how="horizontal")
        yield beside.rename({"length": "tokens"})


def _refuse_others(name: str, stage: str, known: pl.DataFrame, table: pl.DataFrame) -> None:
    if not table["row"].equals(known["row"]):
        raise ValueError(
            f"shard {name}: {stage} has {len(table)} rows where the pool has {len(known)} documents, or they are not "
            f"the same ones; remove the folder of {stage} and materialize it again"
        )
