"""What a keep rule did to a pool: by source, by split, and against gold on the held-out documents."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import polars as pl
from scipy.stats import binomtest

from datashop_assets.filtered_pool.joined import Joined
from datashop_assets.filtered_pool.shards import read_written
from datashop_assets.storage.stage_writer import StageWriter

Gold = Mapping[str, str]  # id -> label
NO_LABEL = pl.lit(None, dtype=pl.Boolean)
GROUPS = ("source", "split", "gold", "kept")


def counts_of(joined: Joined, output: StageWriter, gold: Gold, targets: Collection[str]) -> dict[str, Any]:
    """Counts as JSON values. Gold figures leave out documents without a gold label."""
    labels = [label in targets for label in gold.values()]
    shards = [found for shard in joined.names for found in _grouped(joined, output, shard, (list(gold), labels))]
    groups = pl.concat([counted for counted, _ in shards]).group_by(GROUPS).sum()
    cuts = [lowest for _, lowest in shards if lowest is not None]
    kept = groups.filter("kept")
    judged = groups.filter((pl.col("split") == "heldout") & pl.col("gold").is_not_null())
    return {
        "documents": int(groups["documents"].sum()),
        "tokens": int(groups["tokens"].sum()),
        "kept_documents": int(kept["documents"].sum()),
        "kept_tokens": int(kept["tokens"].sum()),
        "cut_score": min(cuts, default=None),
        "by_source": _before_and_after(groups, "source"),
        "by_split": _before_and_after(groups, "split"),
        **gold_figures(judged),
        "gold_within": {
            source: gold_figures(judged.filter(pl.col("source") == source))
            for source in sorted(set(judged["source"].to_list()))
        },
    }


def _grouped(
    joined: Joined, output: StageWriter, shard: str, gold: tuple[list[str], list[bool]]
) -> Iterator[tuple[pl.DataFrame, float | None]]:
    """Documents and tokens of a shard's chunks by group, and the lowest score kept in each."""
    known = joined.chunks(shard, ("id", "source", "split", "tokens", "score"))
    labels = pl.col("id").replace_strict(*gold, default=None, return_dtype=pl.Boolean) if gold[0] else NO_LABEL
    for chunk, written in zip(known, read_written(output, f"{shard}.parquet", ["kept"]), strict=True):
        table = chunk.with_columns(kept=written["kept"], gold=labels)
        counted = table.group_by(GROUPS).agg(documents=pl.len().cast(pl.Int64), tokens=pl.col("tokens").sum())
        yield counted, table.filter("kept")["score"].min()  # type: ignore[misc]


def _before_and_after(groups: pl.DataFrame, column: str) -> dict[str, dict[str, int]]:
    sums = groups.group_by(column).agg(
        documents=pl.col("documents").sum(),
        tokens=pl.col("tokens").sum(),
        kept_documents=pl.col("documents").filter("kept").sum(),
        kept_tokens=pl.col("tokens").filter("kept").sum(),
    )
    return {row.pop(column): row for row in sums.sort(column).iter_rows(named=True)}


def gold_figures(heldout: pl.DataFrame) -> dict[str, Any]:
    """Precision and recall of what is kept of the held-out documents with gold, with Wilson's 95% intervals."""

    def count(*conditions: pl.Expr) -> int:
        return int(heldout.filter(*conditions)["documents"].sum())

    target, kept = pl.col("gold"), pl.col("kept")
    found, all_kept, all_target = count(target, kept), count(kept), count(target)
    if not all_kept or not all_target:
        return {}
    return {
        "gold_kept": all_kept,
        "gold_targets": all_target,
        **_share("gold_precision", found, all_kept),
        **_share("gold_recall", found, all_target),
    }


def _share(name: str, part: int, whole: int) -> dict[str, float]:
    interval = binomtest(part, whole).proportion_ci(method="wilson")
    return {name: part / whole, f"{name}_low": float(interval.low), f"{name}_high": float(interval.high)}
