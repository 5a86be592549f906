"""What every cut would keep."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from datashop_assets.data_card.scan import BINS


def yields(cells: pl.DataFrame) -> dict[str, list[float]]:
    """`score`, `documents`, `bytes`: how much has at least each hundredth of the score, from 0 to 0.99."""
    counts = binned(cells, ("documents", "bytes"))
    from_here_on = {name: found[::-1].cumsum()[::-1].tolist() for name, found in counts.items()}
    return {"score": (np.arange(BINS) / BINS).tolist(), **from_here_on}


def binned(cells: pl.DataFrame, columns: Sequence[str]) -> dict[str, np.ndarray]:
    """Sums of `Scan.cells` by bin of the score. [BINS] each."""
    every = pl.DataFrame({"bin": np.arange(BINS)}).join(
        cells.group_by("bin").agg(pl.col(columns).sum()), on="bin", how="left", maintain_order="left"
    )
    return {name: every[name].fill_null(0).to_numpy() for name in columns}
