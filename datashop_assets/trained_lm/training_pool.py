"""The documents that a model may be trained on: of the split `train`, and without text of the evaluation sets."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from datashop_assets.storage.shards import open_parquet
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.trained_lm.decontamination import left_out

BATCH_ROWS = 4096


@dataclass(frozen=True, slots=True)
class Piece:
    """A document as tokens, and its id."""

    id: str
    tokens: np.ndarray  # [T] int32


@dataclass(frozen=True)
class Batch:
    """N training documents of a shard."""

    shard: str
    rows: np.ndarray  # [N]
    sources: np.ndarray  # [N] of str
    pieces: list[Piece]

    @property
    def sizes(self) -> np.ndarray:
        """Tokens of each document and one separator: int64 [N]."""
        return np.array([1 + len(piece.tokens) for piece in self.pieces], dtype=np.int64)


@dataclass(frozen=True)
class TrainingPool:
    """`pool_tokens` without what `decontamination` leaves out."""

    tokens: StageFolder
    decontamination: StageFolder

    @property
    def shards(self) -> list[str]:
        return [shard.name.removesuffix(".parquet") for shard in self.tokens.shards]

    def batches(self, shard: str) -> Iterator[Batch]:
        """A shard's training documents in order, `BATCH_ROWS` read at a time."""
        without = pa.array(left_out(self.decontamination, shard))
        table = open_parquet(self.tokens.file(f"{shard}.parquet"))
        for batch in table.iter_batches(BATCH_ROWS, columns=["row", "id", "split", "source", "tokens"]):
            chosen = batch.filter(pc.equal(batch["split"], "train"))
            yield _batch(shard, chosen.filter(pc.invert(pc.is_in(chosen["row"], without))))


def kept_rows(filtered: StageFolder, shard: str) -> np.ndarray:
    """The rows of a shard that the filter keeps."""
    kept = filtered.table(f"{shard}.parquet").filter("kept")
    return np.asarray(kept["row"].to_numpy())


def _batch(shard: str, table: pa.RecordBatch) -> Batch:
    lists = table["tokens"]
    values, offsets = lists.flatten().to_numpy(), [0, *np.cumsum(lists.value_lengths().to_numpy())]
    tokens = (values[begin:stop].copy() for begin, stop in pairwise(offsets))
    pieces = [Piece(name, each) for name, each in zip(table["id"].to_pylist(), tokens, strict=True)]
    return Batch(shard, table["row"].to_numpy(), np.array(table["source"].to_pylist(), dtype=object), pieces)
