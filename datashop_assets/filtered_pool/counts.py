"""What a keep rule did to a pool: by source, by split, and against gold on the held-out documents."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import polars as pl

from datashop_assets.documents.results import OTHERS
from datashop_assets.filtered_pool.joined import Joined
from datashop_assets.filtered_pool.shards import read_written
from datashop_assets.statistics.intervals import wilson
from datashop_assets.storage.stage_writer import StageWriter

Gold = Mapping[str, str]  # id -> label
NO_LABEL = pl.lit(None, dtype=pl.Boolean)
GROUPS = ("source", "split", "gold", "kept")


def counts_of(
    joined: Joined, output: StageWriter, named: Collection[str], gold: Gold, targets: Collection[str]
) -> dict[str, Any]:
    """Counts as JSON values, by source of those that are `named`: a source field may hold a URL, others are counted
    together. Gold figures leave out documents without a gold label.
    """
    label = _label(gold, targets)
    source = pl.when(pl.col("source").is_in(list(named))).then("source").otherwise(pl.lit(OTHERS))
    groups, cut_score = pl.DataFrame(), None
    for chunk in _chunks(joined, output):
        counted = _grouped(chunk.with_columns(source=source, gold=label))
        groups = pl.concat([groups, counted]).group_by(GROUPS).sum() if len(groups) else counted
        cut_score = min((one for one in (cut_score, _lowest(chunk)) if one is not None), default=None)
    kept = groups.filter("kept")
    judged = groups.filter((pl.col("split") == "heldout") & pl.col("gold").is_not_null())
    return {
        "documents": int(groups["documents"].sum()),
        "tokens": int(groups["tokens"].sum()),
        "kept_documents": int(kept["documents"].sum()),
        "kept_tokens": int(kept["tokens"].sum()),
        "cut_score": cut_score,
        "by_source": _before_and_after(groups, "source"),
        "by_split": _before_and_after(groups, "split"),
        **gold_figures(judged),
        "gold_within": {
            source: gold_figures(judged.filter(pl.col("source") == source))
            for source in sorted(set(judged["source"].to_list()))
        },
    }


def _chunks(joined: Joined, output: StageWriter) -> Iterator[pl.DataFrame]:
    """What is known of the pool's documents, and whether they are kept, some at a time."""
    for shard in joined.names:
        known = joined.chunks(shard, ("id", "source", "split", "tokens", "score"))
        for chunk, written in zip(known, read_written(output, f"{shard}.parquet", ["kept"]), strict=True):
            yield chunk.with_columns(written["kept"])


def _label(gold: Gold, targets: Collection[str]) -> pl.Expr:
    if not gold:
        return NO_LABEL
    labels = [label in targets for label in gold.values()]
    return pl.col("id").replace_strict(list(gold), labels, default=None, return_dtype=pl.Boolean)


def _grouped(chunk: pl.DataFrame) -> pl.DataFrame:
    return chunk.group_by(GROUPS).agg(documents=pl.len().cast(pl.Int64), tokens=pl.col("tokens").sum())


def _lowest(chunk: pl.DataFrame) -> float | None:
    return chunk.filter("kept")["score"].min()  # type: ignore[return-value]


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
        **wilson(found / all_kept, all_kept).as_metrics("gold_precision"),
        **wilson(found / all_target, all_target).as_metrics("gold_recall"),
    }
