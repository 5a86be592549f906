"""Margins of a pool's documents, from their texts or from their vectors, whichever the encoder scores by."""

from collections.abc import Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from datashop_assets.documents.pool import read_index, read_pool
from datashop_assets.encoder.results import pool_vectors
from datashop_assets.encoder_kinds.trained import TrainedEncoder
from datashop_assets.storage.stage_folder import StageFolder

BATCH = 1024
Batch = tuple[list[tuple[int, str]], NDArray[np.float64]]  # rows with ids, margins


def pool_margins(
    encoder: TrainedEncoder, pool: StageFolder, embeddings: StageFolder | None, shard: str
) -> Iterator[Batch]:
    """A shard's documents in order, `BATCH` at a time. Batches are the same in every run.

    `embeddings` are read for an encoder that scores vectors. Raises `ValueError` where it has none, and for a margin
    that is not a number: no rule could place it, and a threshold would drop it unseen.
    """
    if not encoder.scores_embeddings:
        found = _of_texts(encoder, pool, shard)
    elif embeddings is not None:
        found = _of_vectors(encoder, pool, embeddings, shard)
    else:
        raise ValueError("this encoder scores vectors; give the output of pool_embeddings")
    for documents, margins in found:
        if (bad := np.flatnonzero(np.isnan(margins))).size:
            row, name = documents[int(bad[0])]
            raise ValueError(
                f"row {row} of shard {shard} ({name!r}) has no number as its margin; train the encoder again"
            )
        yield documents, margins


def _of_texts(encoder: TrainedEncoder, pool: StageFolder, shard: str) -> Iterator[Batch]:
    read = ((row, document.id, encoder.read(document.text)) for row, document in read_pool(pool, shard))
    while batch := list(islice(read, BATCH)):
        yield [(row, name) for row, name, _ in batch], encoder.model.margin([text for *_, text in batch])


def _of_vectors(encoder: TrainedEncoder, pool: StageFolder, embeddings: StageFolder, shard: str) -> Iterator[Batch]:
    vectors, index, start = pool_vectors(embeddings, shard), read_index(pool, shard), 0
    while batch := [(entry["row"], entry["id"]) for entry in islice(index, BATCH)]:
        yield batch, encoder.margins_of(np.asarray(vectors[start : start + len(batch)]))
        start += len(batch)
