"""The embedded pool, indexed, and labels from its gold: real documents without an annotator."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from datashop_assets.documents.embedded import load_gold
from datashop_assets.documents.pool import pool_shards, read_index, read_pool
from datashop_assets.storage.digests import keyed_hash
from datashop_assets.storage.folders import Folder
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets_tests.documents import making
from datashop_assets_tests.stages import stage_of_rows

GOLD = ["Mathematics", "sympy", "mpmath"]
CONFIG = {
    "kind": "fasttext",
    "calibration": "platt",
    "dimensions": 8,
    "epochs": 5,
    "learning_rate": 0.5,
    "min_subword": 3,
    "max_subword": 5,
    "buckets": 20_000,
    "read_characters": 1000,
    "reading": "head",
    "gold": [],
    "gold_uri": "embedded",
}
LENGTHS = {"row": pl.Int64, "length": pl.Int64}
DATA = {"uri": "embedded", "text_field": "text", "id_field": "id", "source_field": "source"}


def gold_pool(root: Path, data: dict[str, str] | None = None) -> StageFolder:
    """An indexed pool below `root`: the embedded one unless `data` names another."""
    if (root / "pretraining_pool" / "manifest.json").exists():
        return StageFolder(Folder(str(root / "pretraining_pool")))
    return making.make_pool((data or DATA)["uri"], root)


def counted_tokens(root: Path, pool: StageFolder) -> StageFolder:
    """`pool_tokens` as far as filtering reads it: four characters a token."""
    shards = {
        f"{shard}.parquet": [
            {"row": row, "length": len(document.text) // 4} for row, document in read_pool(pool, shard)
        ]
        for shard in pool_shards(pool)
    }
    return stage_of_rows(root, "pool_tokens", shards, LENGTHS)


def training_rows(root: Path, documents: int) -> Iterator[dict[str, Any]]:
    """Documents of the training split, drawn by hash, labelled by their gold."""
    pool, gold = gold_pool(root), load_gold(root / "cache", "embedded")
    found = [
        (row, document)
        for shard in pool_shards(pool)
        for row, (_, document) in zip(read_index(pool, shard), read_pool(pool, shard), strict=True)
        if row["split"] == "train" and document.id in gold
    ]
    chosen = sorted(found, key=lambda one: keyed_hash("labels", one[1].id))[:documents]
    for place, (_, document) in enumerate(chosen):
        label = int(gold[document.id] in GOLD)
        yield {"id": document.id, "source": document.source, "text": document.text[:1000], "label": label} | {
            "characters": len(document.text),
            "expected_score": 5.0 * label,
            "weight": 1.0,
            "repeat": 1,
            "fold": place % 5,
        }
