"""The documents of each stream, drawn by seed in one pass over the pool's tokens.

Memory holds what the runs will read, not the pool.
"""

from dataclasses import dataclass

import numpy as np

from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.trained_lm.draws import Draw, row_keys
from datashop_assets.trained_lm.matching import MatchedDraw, kept_of
from datashop_assets.trained_lm.mixture import Rows, mixed
from datashop_assets.trained_lm.settings import TrainingSettings
from datashop_assets.trained_lm.training_pool import Batch, Piece, TrainingPool, kept_rows


@dataclass(frozen=True)
class Streams:
    """What one seed reads."""

    shared: Draw[Piece]
    own: Draw[Piece] | MatchedDraw

    def rows(self, settings: TrainingSettings, end: int) -> Rows:
        shared, own = list(self.shared.keyed()), list(self.own.keyed())
        return mixed(shared, own, settings.own_rows, settings.length, end)


@dataclass
class Reading:
    """The streams of every seed, and how many tokens there were to draw from, separators included."""

    seeds: list[Streams]
    pool_tokens: int = 0
    kept_tokens: int = 0


def read_streams(
    pool: TrainingPool, filtered: StageFolder | None, settings: TrainingSettings, *, matched: bool = False
) -> Reading:
    """Draws every seed's documents. Without `filtered` the own stream is more of the pool: that is the control.

    `matched`: the own stream is not what was kept but a random draw with its mix of sources and lengths. Raises
    `ValueError` where the pool holds less than one batch or too few documents for two streams, no kept document may be
    trained on, the kept documents would be gone through more than `max_epochs` times, or a matched draw is for less
    than half a document of any kind.
    """
    reading = Reading(_empty(pool, filtered, settings, matched))
    for shard in pool.shards:
        kept = None if filtered is None else kept_rows(filtered, shard)
        for batch in pool.batches(shard):
            _offer(reading, batch, kept, settings.filtered_share)
    _check(reading, filtered is not None, settings)
    if matched:
        _check_matched(reading, settings)
    return reading


def _empty(
    pool: TrainingPool, filtered: StageFolder | None, settings: TrainingSettings, matched: bool
) -> list[Streams]:
    own = int(settings.own_rows.sum())
    shared, mine = (settings.rows - own) * settings.length + 1, own * settings.length + 1
    if not matched or filtered is None:
        return [Streams(Draw(shared), Draw(mine)) for _ in range(settings.seeds)]
    kept = kept_of(pool, filtered)
    return [Streams(Draw(shared), MatchedDraw(kept, mine)) for _ in range(settings.seeds)]


def _offer(reading: Reading, batch: Batch, kept: np.ndarray | None, share: float) -> None:
    sizes = batch.sizes
    is_kept = np.zeros(len(sizes), dtype=bool) if kept is None else np.isin(batch.rows, kept)
    reading.pool_tokens += int(sizes.sum())
    reading.kept_tokens += int(sizes[is_kept].sum())
    for seed, streams in enumerate(reading.seeds):
        second = row_keys(f"stream {seed}", batch.shard, batch.rows) < np.uint64(share * 2.0**64)
        _draw(streams.shared, batch, sizes, ~second, f"pool {seed}")
        if isinstance(streams.own, MatchedDraw):
            _match(streams.own, batch, sizes, f"matched {seed}")
        elif kept is None:
            _draw(streams.own, batch, sizes, second, f"pool {seed}")
        else:
            _draw(streams.own, batch, sizes, is_kept, f"kept {seed}")


def _draw(draw: Draw[Piece], batch: Batch, sizes: np.ndarray, wanted: np.ndarray, purpose: str) -> None:
    keys = row_keys(purpose, batch.shard, batch.rows)
    for index in np.flatnonzero(wanted & (keys <= np.uint64(min(draw.limit, (1 << 64) - 1)))):
        draw.offer(int(keys[index]), int(sizes[index]), batch.pieces[index])


def _match(draw: MatchedDraw, batch: Batch, sizes: np.ndarray, purpose: str) -> None:
    keys = row_keys(purpose, batch.shard, batch.rows).tolist()
    for stratum, key, size, piece in zip(draw.kept.strata(batch), keys, sizes.tolist(), batch.pieces, strict=True):
        draw.offer(stratum, key, size, piece)


def _check(reading: Reading, with_kept: bool, settings: TrainingSettings) -> None:
    batch = settings.batch * settings.length
    if reading.pool_tokens < batch:
        raise ValueError(
            f"the pool's training documents hold {reading.pool_tokens} tokens, fewer than one batch of {batch} "
            f"(training.batch {settings.batch} x training.length {settings.length}); lower them or give a larger pool"
        )
    own = int(settings.own_rows.sum())
    dry = own < settings.rows and any(not streams.shared.size for streams in reading.seeds)
    if dry or (own and not with_kept and any(not streams.own.size for streams in reading.seeds)):
        raise ValueError(
            "the pool's training documents are too few for two streams, shared rows and the control's own: one of them "
            f"would have none (training.filtered_share {settings.filtered_share:g}); give a larger pool"
        )
    if with_kept and reading.kept_tokens < settings.length:
        raise ValueError(
            f"the kept documents that may be trained on hold {reading.kept_tokens} tokens, fewer than one row "
            f"(training.length {settings.length}); keep more: raise keep.fraction or lower keep.threshold"
        )
    wanted = own * settings.length
    if with_kept and wanted > settings.max_epochs * reading.kept_tokens:
        raise ValueError(
            f"training would go {wanted / reading.kept_tokens:.1f} times through the {reading.kept_tokens} tokens of "
            f"the kept documents; training.max_epochs is {settings.max_epochs:g}. Keep more (keep.fraction), or lower "
            "training.steps or training.filtered_share"
        )


def _check_matched(reading: Reading, settings: TrainingSettings) -> None:
    if any(not streams.own.size for streams in reading.seeds):
        raise ValueError(
            f"the {int(settings.own_rows.sum()) * settings.length} tokens that matched_lm reads of its own stream are "
            "too few for a document of any source and length; raise training.steps, training.batch or "
            "training.filtered_share, or set training.matched_control: false"
        )
