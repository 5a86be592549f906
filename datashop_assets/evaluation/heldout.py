"""The documents that the comparison is measured on, as tokens."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from tokenizers import Tokenizer

from datashop_assets.evaluation.targets import TARGETS
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.trained_lm.tokenizer import encode


@dataclass(frozen=True, slots=True)
class Heldout:
    """A document that the comparison is measured on."""

    id: str
    kind: str
    source: str
    bytes: int
    tokens: np.ndarray


def heldout_documents(targets: StageFolder, tokens: StageFolder, tokenizer: Tokenizer) -> Iterator[Heldout]:
    """Those that a prompt gives, tokenized now, and those of the pool. Raises `ValueError` for one that is lost."""
    chosen = targets.table(TARGETS)
    given = chosen.filter(pl.col("text").is_not_null())
    texts = given["text"].to_list()
    for row, encoded in zip(given.iter_rows(named=True), encode(tokenizer, texts), strict=True):
        yield Heldout(row["id"], row["kind"], row["source"], len(row["text"].encode()), encoded)
    pooled = chosen.filter(pl.col("text").is_null())
    for (shard,), part in pooled.group_by("shard", maintain_order=True):
        found = tokens.table(f"{shard}.parquet").select("row", "bytes", "tokens")
        joined = part.join(found, on="row", how="inner", maintain_order="left")
        if len(joined) < len(part):
            raise ValueError(f"pool_tokens has not all target documents of shard {shard}; make pool_tokens again")
        for row in joined.iter_rows(named=True):
            yield Heldout(row["id"], row["kind"], row["source"], row["bytes"], np.array(row["tokens"], dtype=np.int32))
