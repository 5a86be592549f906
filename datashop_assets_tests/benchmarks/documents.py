"""The documents that benchmarks read: those of the embedded pool, as they stand in its files."""

from io import BytesIO
from pathlib import Path
from typing import Any

from datashop_assets.data_packages import installed_data
from datashop_assets.documents.embedded import DOCUMENTS, embedded_pool
from datashop_assets.storage.shards import read_rows


def embedded_rows(cache: Path) -> list[dict[str, Any]]:
    """Every document's `id`, `text` and `source`, in the pool's order; the pool is made in `cache` where it is not."""
    shards = sorted((embedded_pool(cache, installed_data()) / DOCUMENTS).iterdir())
    return [row for shard in shards for row in read_rows(shard.name, BytesIO(shard.read_bytes()))]
