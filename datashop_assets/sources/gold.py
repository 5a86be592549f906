"""Gold labels: what a document is about by someone's judgement, for reports only. No stage that scores sees them."""

from pathlib import Path

import polars as pl

from datashop_assets.datasets import EMBEDDED
from datashop_assets.sources.embedded import GOLD, embedded_pool


def load_gold(cache: Path, uri: str) -> dict[str, str]:
    """Id -> label of every labelled document of a pool: a lead's topic, a docstring's package.

    Documents without a label are left out: of the embedded pool the 1,000 leads whose topic is not known. Empty for a
    pool that has no gold labels, which is any pool but the embedded one.
    """
    if uri != EMBEDDED:
        return {}
    labels = pl.read_parquet(embedded_pool(cache) / GOLD).drop_nulls("label")
    return dict(zip(labels["id"], labels["label"], strict=True))
