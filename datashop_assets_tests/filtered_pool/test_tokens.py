"""Rules of tokens: sizes by the ratio of a sample, counted near the cut or everywhere, never more than the budget."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tokenizers import Tokenizer

from datashop_assets.core.step import Resources, StepOutput
from datashop_assets.documents.pool import pool_shards, read_index, read_pool
from datashop_assets.filtered_pool import pool_table
from datashop_assets.filtered_pool.checks import miskept, missized
from datashop_assets.filtered_pool.results import FilteredPoolResult, PoolScoresResult, TokenSizes, tokens_name
from datashop_assets.filtered_pool.scoring import SCHEMA as SCORES
from datashop_assets.filtered_pool.steps import filtered_pool
from datashop_assets.storage.digests import unit_hash
from datashop_assets.storage.folders import Folder
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.training_documents.results import TOKENIZER, PoolTokensResult
from datashop_assets_tests.filtered_pool.pools import DATA, filtering, gold_pool, pool_tokenizer
from datashop_assets_tests.small import small_pool
from datashop_assets_tests.stages import LosesEveryWorker, run_step, stage_of_rows

FIFTH = {"fraction": 0.2, "of": "tokens"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1,000 real documents in four shards, scores by hash, and a tokenizer."""
    root = tmp_path_factory.mktemp("tokens")
    (root / "files").mkdir()
    pool = gold_pool(root, {**DATA, "uri": small_pool(root / "files", root / "cache", 4)})
    shards = {
        f"{shard}.parquet": [
            {
                "row": row["row"],
                "id": row["id"],
                "score": unit_hash("s", row["id"]),
                "margin": unit_hash("s", row["id"]),
            }
            for row in read_index(pool, shard)
        ]
        for shard in pool_shards(pool)
    }
    stage_of_rows(root, "pool_scores", shards, SCORES)
    pool_tokenizer(root, pool)
    return root


def inputs(root: Path) -> list[StageFolder]:
    return [StageFolder(Folder(str(root / name))) for name in ("pretraining_pool", "pool_scores", "pool_tokens")]


def kept(
    root: Path, name: str, keep: Mapping[str, Any], resources: Resources | None = None
) -> StepOutput[FilteredPoolResult]:
    return run_step(filtered_pool, root, filtering(dict(keep)), inputs(root), name=name, resources=resources)


@pytest.fixture(scope="module")
def counted(root: Path) -> pl.DataFrame:
    """shard, row, margin, bytes and the true number of tokens of every document, highest margin first."""
    pool, scores, _ = inputs(root)
    tokenizer = Tokenizer.from_file(str(root / "pool_tokens" / TOKENIZER))
    rows = [
        {"shard": shard, "row": row, "bytes": len(one.text.encode()), "tokens": len(tokenizer.encode(one.text).ids)}
        for shard in pool_shards(pool)
        for row, one in read_pool(pool, shard)
    ]
    margins = pl.concat([scores.table(f"{shard}.parquet") for shard in pool_shards(pool)])["margin"]
    return pl.DataFrame(rows).with_columns(margins).sort("margin", descending=True)


def sizes(filtered: StepOutput[FilteredPoolResult], counted: pl.DataFrame) -> pl.DataFrame:
    """`counted` with the sizes that were recorded, whether they were counted, and what is kept."""
    shards = counted["shard"].unique()
    tables = [
        filtered.table(tokens_name(shard)).with_columns(filtered.table(f"{shard}.parquet")["kept"], shard=pl.lit(shard))
        for shard in shards
    ]
    recorded = pl.concat(tables).rename({"tokens": "size"})
    return counted.join(recorded, on=("shard", "row"), how="left", maintain_order="left")


def fits(table: pl.DataFrame, budget: int) -> int:
    """How many documents, from the highest margin down, have at most `budget` tokens together."""
    return int((np.cumsum(table["size"].to_numpy()) <= budget).sum())


def checked(root: Path, filtered: StepOutput[FilteredPoolResult]) -> list[str]:
    pool, scores, tokens = inputs(root)
    said = miskept(filtered, StepOutput(scores.folder, PoolScoresResult))
    return said + missized(filtered, pool, StepOutput(tokens.folder, PoolTokensResult))


@pytest.mark.parametrize("count", ["sample", "exact"])
def test_a_small_pool_is_counted_as_a_whole(root: Path, counted: pl.DataFrame, count: str) -> None:
    filtered = kept(root, f"whole-{count}", {**FIFTH, "count": count})
    result, table = filtered.result, sizes(filtered, counted)
    assert table["size"].equals(table["tokens"], check_names=False)
    assert result.total == table["tokens"].sum()
    assert result.budget == result.total // 5
    assert table["kept"].sum() == fits(table, result.budget) > 50
    assert table["kept"][: fits(table, result.budget)].all()
    assert result.tokens is not None
    assert result.tokens.kept == table.filter("kept")["tokens"].sum()
    assert result.tokens.counted_documents == result.documents == 1000
    assert checked(root, filtered) == []


def test_of_a_large_pool_the_documents_around_the_cut_are_counted(
    root: Path, counted: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_table, "COUNTED", 5_000)
    filtered = kept(root, "near", FIFTH)
    result, table = filtered.result, sizes(filtered, counted)
    ratio = StepOutput(Folder(str(root / "pool_tokens")), PoolTokensResult).result.bytes_per_token
    estimate = (table["bytes"] / ratio + 0.5).floor().cast(pl.Int64)
    near = table["counted"]
    assert table.filter("counted")["size"].equals(table.filter("counted")["tokens"], check_names=False)
    assert table.filter(~pl.col("counted"))["size"].equals(estimate.filter(~near), check_names=False)
    first, last = near.arg_max() or 0, len(near) - 1 - (near.reverse().arg_max() or 0)
    assert near[first : last + 1].all()
    assert result.budget is not None
    assert first < fits(table, result.budget) < last
    assert 8_000 < estimate.filter(near).sum() < 12_000
    assert table["kept"].sum() == fits(table, result.budget)
    assert result.tokens == TokenSizes(
        tokens=table["size"].sum(),
        kept=table.filter("kept")["size"].sum(),
        counted_documents=near.sum(),
        bytes_per_token=ratio,
    )
    assert checked(root, filtered) == []


def test_the_documents_counted_reach_as_far_as_the_cut_moves(
    root: Path, counted: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ratio far off puts the estimated cut far from where the counted sizes put it."""
    monkeypatch.setattr(pool_table, "COUNTED", 100)
    for name in ("pretraining_pool", "pool_scores", "cache"):
        (tmp_path / name).symlink_to(root / name)
    off = pool_tokenizer(tmp_path, inputs(root)[0], times=3.0)
    filtered = run_step(filtered_pool, tmp_path, filtering(FIFTH), [*inputs(root)[:2], off], name="off")
    table = sizes(filtered, counted)
    assert filtered.result.budget is not None
    cut = fits(table, filtered.result.budget)
    assert table["counted"][cut - 1 : cut + 1].all()
    assert table["kept"].sum() == cut
    assert table["counted"].sum() < 500


def test_a_budget_is_spent_from_the_highest_score_down(root: Path, counted: pl.DataFrame) -> None:
    filtered = kept(root, "budget", {"tokens": 20_000})
    table = sizes(filtered, counted)
    assert filtered.result.budget == 20_000
    assert table["kept"].sum() == fits(table, 20_000) > 0
    everything = kept(root, "large-budget", {"tokens": 10**12}).result
    assert everything.kept_documents == everything.documents == 1000
    assert everything.cut is None


def test_counting_that_loses_its_workers_goes_on_to_the_same_content(root: Path) -> None:
    whole = kept(root, "counted-once", {**FIFTH, "count": "exact"})
    resources = Resources(compute=LosesEveryWorker(root / "counted-again"))
    again = kept(root, "counted-again", {**FIFTH, "count": "exact"}, resources)
    assert again.manifest.content_digest == whole.manifest.content_digest


def test_sizes_that_are_not_those_of_the_documents_are_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_table, "COUNTED", 5_000)
    monkeypatch.setattr(pool_table, "estimated_tokens", lambda _: (pl.col("bytes") // 9 + 1).alias("tokens"))
    said = checked(root, kept(root, "wrong-estimates", FIFTH))
    assert len(said) == 4
    assert "does not hold the sizes of the pool's documents" in said[0]
    monkeypatch.undo()
    monkeypatch.setattr(pool_table, "encode", lambda _, texts: [[1] * 7 for _ in texts])
    said = checked(root, kept(root, "wrong-counts", FIFTH))
    assert "tokens, 7 are recorded" in said[0]


def test_a_rule_of_tokens_alone_reads_the_tokenizer() -> None:
    assert filtering(FIFTH).count == "sample"
    assert filtering({"fraction": 0.2}).count is None
    assert filtering({"threshold": 0.2, "count": "exact"}).count is None
