"""The prompts that are compared: what each of them made of one and the same pool."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from datashop_assets.core.plan import PlannedStep
from datashop_assets.filtered_pool.keep import Shard, find_cut, keep_before
from datashop_assets.storage.digests import keyed_hash
from datashop_assets.storage.stage_folder import StageFolder

NEEDED = ("pretraining_pool", "pool_scores", "filtered_pool")
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Side:
    """One prompt and the stages of its that are there."""

    slug: str
    stages: Mapping[str, StageFolder]

    @property
    def kept_documents(self) -> int:
        return int(self.stages["filtered_pool"].metrics["kept_documents"])

    def scores(self, shard: str) -> pl.DataFrame:
        """row, id, score, margin of every document of a shard, in pool order."""
        return self.stages["pool_scores"].table(f"{shard}.parquet").select("row", "id", "score", "margin")

    def best(self, shards: Sequence[str], documents: int) -> Iterator[Flags]:
        """By shard, which of its documents are among the `documents` best by margin; ties by a hash of the place."""

        def seen() -> Iterator[Shard]:
            for name in shards:
                table = self.scores(name)
                rows = table["row"].to_list()

                def ties(chosen: Flags, name: str = name, rows: list[int] = rows) -> NDArray[np.uint64]:
                    places = np.flatnonzero(chosen)
                    return np.array([keyed_hash("compare", f"{name} {rows[at]}") for at in places], dtype=np.uint64)

                ones = np.ones(len(table), dtype=np.int64)
                yield Shard(table["margin"].to_numpy(), table["score"].to_numpy(), ones, ties)

        return keep_before(find_cut(seen, documents), seen)


def side(slug: str, plan: Mapping[str, PlannedStep]) -> Side:
    """Raises `ValueError` naming the first stage that is needed and not there."""
    for name in NEEDED:
        if not plan[name].usable:
            raise ValueError(f"{name} of {slug!r} is {plan[name].state.value}; run `datashop run {slug}` first")
    return Side(slug, {name: planned.output for name, planned in plan.items() if planned.usable})


def check_one_pool(sides: Sequence[Side]) -> None:
    """Raises `ValueError` where the prompts did not score the same documents."""
    first, *others = sides
    for other in others:
        pools = [one.stages["pretraining_pool"].manifest for one in (first, other)]
        if pools[0].content_digest != pools[1].content_digest:
            raise ValueError(
                f"{first.slug!r} and {other.slug!r} scored different pools ({pools[0].config['data']['uri']!r} and "
                f"{pools[1].config['data']['uri']!r}); prompts are compared on one pool: give both the same "
                "pretraining_pool and heldout_fraction"
            )
