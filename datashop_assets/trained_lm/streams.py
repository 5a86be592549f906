"""The documents of each stream, drawn by seed in one pass over the pool's tokens.

Only documents of the split `train` are ever offered. Memory holds what the runs will read, not the pool.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.trained_lm.draws import Draw, row_keys
from datashop_assets.trained_lm.mixture import Rows, mixed
from datashop_assets.trained_lm.settings import TrainingSettings

PARQUET = ".parquet"
BATCH_ROWS = 4096


@dataclass(frozen=True)
class Streams:
    """What one seed reads."""

    shared: Draw[np.ndarray]
    own: Draw[np.ndarray]

    def rows(self, settings: TrainingSettings, end: int) -> Rows:
        shared, own = list(self.shared.keyed()), list(self.own.keyed())
        return mixed(shared, own, settings.own_rows, settings.length, end)


@dataclass
class Reading:
    """The streams of every seed, and how many tokens there were to draw from, `END` included."""

    seeds: list[Streams]
    pool_tokens: int = 0
    kept_tokens: int = 0


@dataclass(frozen=True)
class _Batch:
    """Training documents of a shard: rows [N] and their tokens."""

    shard: str
    rows: np.ndarray
    tokens: list[np.ndarray]


def read_streams(tokens: StageFolder, filtered: StageFolder | None, settings: TrainingSettings) -> Reading:
    """Draws every seed's documents. Without `filtered` the own stream is more of the pool: that is the control.

    Raises `ValueError` where the pool holds less than one batch, or no kept document may be trained on.
    """
    own = int(settings.own_rows.sum())
    need = ((settings.rows - own) * settings.length + 1, own * settings.length + 1)
    reading = Reading([Streams(Draw(need[0]), Draw(need[1])) for _ in range(settings.seeds)])
    for shard in [shard.name.removesuffix(PARQUET) for shard in tokens.shards]:
        kept = None if filtered is None else _kept_rows(filtered, shard)
        for batch in _train_batches(tokens, shard):
            _offer(reading, batch, kept, settings.filtered_share)
    _check(reading, filtered is not None, settings)
    return reading


def _offer(reading: Reading, batch: _Batch, kept: np.ndarray | None, share: float) -> None:
    sizes = np.array([1 + len(each) for each in batch.tokens], dtype=np.int64)
    is_kept = np.zeros(len(sizes), dtype=bool) if kept is None else np.isin(batch.rows, kept)
    reading.pool_tokens += int(sizes.sum())
    reading.kept_tokens += int(sizes[is_kept].sum())
    for seed, streams in enumerate(reading.seeds):
        second = row_keys(f"stream {seed}", batch.shard, batch.rows) < np.uint64(share * 2.0**64)
        _draw(streams.shared, batch, sizes, ~second, f"pool {seed}")
        if kept is None:
            _draw(streams.own, batch, sizes, second, f"pool {seed}")
        else:
            _draw(streams.own, batch, sizes, is_kept, f"kept {seed}")


def _draw(draw: Draw[np.ndarray], batch: _Batch, sizes: np.ndarray, wanted: np.ndarray, purpose: str) -> None:
    keys = row_keys(purpose, batch.shard, batch.rows)
    for index in np.flatnonzero(wanted & (keys <= np.uint64(min(draw.limit, (1 << 64) - 1)))):
        draw.offer(int(keys[index]), int(sizes[index]), batch.tokens[index])


def _train_batches(tokens: StageFolder, shard: str) -> Iterator[_Batch]:
    table = pq.ParquetFile(tokens.file(shard + PARQUET))
    for batch in table.iter_batches(BATCH_ROWS, columns=["row", "split", "tokens"]):
        chosen = batch.filter(pc.equal(batch["split"], "train"))
        lists = chosen["tokens"]
        values, offsets = lists.flatten().to_numpy(), [0, *np.cumsum(lists.value_lengths().to_numpy())]
        pieces = [values[begin:stop].copy() for begin, stop in pairwise(offsets)]
        yield _Batch(shard, chosen["row"].to_numpy(), pieces)


def _kept_rows(filtered: StageFolder, shard: str) -> np.ndarray:
    kept = filtered.table(shard + PARQUET).filter("kept")
    return np.asarray(kept["row"].to_numpy())


def _check(reading: Reading, with_kept: bool, settings: TrainingSettings) -> None:
    batch = settings.batch * settings.length
    if reading.pool_tokens < batch:
        raise ValueError(
            f"the pool's training documents hold {reading.pool_tokens} tokens, fewer than one batch of {batch} "
            f"(training.batch {settings.batch} x training.length {settings.length}); lower them or give a larger pool"
        )
    if with_kept and reading.kept_tokens < settings.length:
        raise ValueError(
            f"the kept documents that may be trained on hold {reading.kept_tokens} tokens, fewer than one row "
            f"(training.length {settings.length}); keep more: raise keep.fraction or lower keep.threshold"
        )
