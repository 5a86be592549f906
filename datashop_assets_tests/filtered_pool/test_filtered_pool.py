"""Scoring and filtering on real documents: complete, exact, in order, and the same after a kill."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest

from datashop_assets.core.step import Resources, StepOutput
from datashop_assets.documents.pool import pool_shards, read_index
from datashop_assets.encoder.steps import encoder
from datashop_assets.filtered_pool.results import FilteredPoolResult, PoolScoresConfig, PoolScoresResult
from datashop_assets.filtered_pool.scoring import SCHEMA as SCORES
from datashop_assets.filtered_pool.steps import filtered_pool, pool_scores
from datashop_assets.storage.folders import Folder
from datashop_assets.storage.root import project
from datashop_assets.storage.shards import read_rows
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets_tests.benchmarks.sides import PEERS
from datashop_assets_tests.filtered_pool.pools import (
    CONFIG,
    GOLD,
    filtering,
    gold_pool,
    training_rows,
    training_set_of_rows,
)
from datashop_assets_tests.stages import LosesEveryWorker, run_step, stage_of_rows

SCORE = """
import sys
from pathlib import Path
from datashop_assets.filtered_pool.results import PoolScoresConfig
from datashop_assets.filtered_pool.steps import pool_scores
from datashop_assets.storage.folders import Folder
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets_tests.stages import run_step
root, name = Path(sys.argv[1]), sys.argv[2]
inputs = [StageFolder(Folder(str(root / stage))) for stage in ("encoder", "pretraining_pool")]
run_step(pool_scores, root, PoolScoresConfig(), inputs, name=name)
"""

READ_BY_OTHERS = """
import json, os, sys
from glob import glob
os.environ["HF_DATASETS_OFFLINE"] = "1"
folder, form = sys.argv[1:]
import datasets, polars
from datatrove.pipeline.readers import JsonlReader, ParquetReader
files = sorted(glob(f"{folder}/*"))
kind = "json" if form == "jsonl.zst" else "parquet"
loaded = datasets.load_dataset(kind, data_files=files, split="train", cache_dir=f"{folder}/../../datasets-{kind}")
pattern = f"*.{form}"
if kind == "json":
    reader = JsonlReader(folder, glob_pattern=pattern, compression="zstd")
    frame = polars.concat([polars.read_ndjson(file).select("id") for file in files])
else:
    reader = ParquetReader(folder, glob_pattern=pattern)
    frame = polars.concat([polars.read_parquet(file, columns=["id"]) for file in files])
found = {
    "datasets": sorted(loaded["id"]),
    "datatrove": sorted(document.id for document in reader.run(rank=0, world_size=1)),
    "polars": sorted(frame["id"]),
}
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An indexed pool, an encoder, and its scores."""
    root = tmp_path_factory.mktemp("filtered")
    pool = gold_pool(root)
    labels = training_set_of_rows(root, training_rows(root, 400))
    run_step(pool_scores, root, PoolScoresConfig(), [run_step(encoder, root, CONFIG, [labels]), pool])
    return root


KEEP = {"fraction": 0.082, "of": "documents"}


class LostAfterOne:
    """A compute that does one item and is gone."""

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            yield function(item)
            raise RuntimeError("lost")


def inputs(root: Path) -> dict[str, StageFolder]:
    names = ("pretraining_pool", "pool_scores")
    return {name: StageFolder(Folder(str(root / name))) for name in names}


def kept(
    root: Path, name: str, keep: dict[str, Any], resources: Resources | None = None
) -> StepOutput[FilteredPoolResult]:
    config = filtering(keep, gold=tuple(GOLD))
    return run_step(filtered_pool, root, config, inputs(root).values(), name=name, resources=resources)


def documents(filtered: StageFolder) -> Iterator[dict[str, Any]]:
    for shard in filtered.shards:
        if shard.name.startswith("documents/"):
            yield from filtered.rows(shard.name)


@pytest.fixture(scope="module")
def by_documents(root: Path) -> StepOutput[FilteredPoolResult]:
    return kept(root, "by-documents", KEEP)


def test_every_document_of_the_pool_is_scored_once_in_order(root: Path) -> None:
    pool, scores = inputs(root)["pretraining_pool"], inputs(root)["pool_scores"]
    for shard in pool_shards(pool):
        expected = [(row["row"], row["id"]) for row in read_index(pool, shard)]
        assert [(row["row"], row["id"]) for row in scores.rows(f"{shard}.parquet")] == expected
    result = PoolScoresResult.model_validate(scores.metrics)
    assert sum(result.histogram) == result.documents == 11_709


def test_a_fraction_of_documents_is_kept_exactly(by_documents: StepOutput[FilteredPoolResult]) -> None:
    result = by_documents.result
    assert result.kept_documents == result.budget == int(0.082 * 11_709)
    found = list(documents(by_documents))
    assert len(found) == result.kept_documents
    assert sum(len(one["text"].encode()) for one in found) == result.kept_bytes
    assert sum(one.kept_documents for one in result.by_source.values()) == result.kept_documents
    assert sum(one.kept_bytes for one in result.by_split.values()) == result.kept_bytes
    assert sum(one.bytes for one in result.by_source.values()) == result.bytes
    assert result.tokens is None


def test_nothing_that_is_left_out_scores_above_what_is_kept(by_documents: StepOutput[FilteredPoolResult]) -> None:
    table = by_documents.table()
    lowest = table.filter("kept")["score"].min()
    assert by_documents.result.cut_score == lowest
    assert (table.filter(~pl.col("kept"))["score"] <= lowest).all()


def test_decisions_within_a_millionth_of_the_cut_are_counted_and_listed(
    root: Path, by_documents: StepOutput[FilteredPoolResult]
) -> None:
    scores = inputs(root)["pool_scores"].table()
    highest_left = scores.filter(~by_documents.table()["kept"])["margin"].max()
    near = scores.filter((pl.col("margin") - highest_left).abs() <= 1e-5)
    assert by_documents.result.cut == highest_left
    assert by_documents.result.near_cut == len(near) >= 1
    assert [one.id for one in by_documents.result.near_cut_documents] == near["id"].to_list()[:100]
    assert "Within 1e-5 of the cut: " in filtered_pool.describe(by_documents)["kept"]


def test_kept_documents_keep_their_fields_and_gain_score_and_prompt(
    root: Path, by_documents: StepOutput[FilteredPoolResult]
) -> None:
    [source] = [
        one
        for one in orjson.loads(inputs(root)["pretraining_pool"].file("sources.json").read_bytes())
        if one["shard"] == pool_shards(inputs(root)["pretraining_pool"])[0]
    ]
    with Path(source["uri"].removeprefix("file://")).open("rb") as file:
        originals = {row["id"]: row for row in read_rows("shard.jsonl.zst", file)}
    found = list(by_documents.rows(f"documents/{source['shard']}.jsonl.zst"))
    assert [row["id"] for row in found] == [name for name in originals if name in {row["id"] for row in found}]
    for row in found:
        assert row.pop("datashop_prompt") == "mathematics"
        assert 0 <= row.pop("datashop_score") <= 1
        assert row == originals[row["id"]]


def test_most_of_what_is_kept_is_mathematics_by_gold(by_documents: StepOutput[FilteredPoolResult]) -> None:
    gold, within = by_documents.result.gold, by_documents.result.gold_within
    assert gold is not None
    assert gold.precision.value > 0.75
    assert sum(found.kept for found in within.values()) == gold.kept
    assert sum(found.targets for found in within.values()) == gold.targets
    assert (gold.precision.low or 1) < gold.precision.value < (gold.precision.high or 0)


def test_a_threshold_keeps_every_score_from_it_upward(root: Path) -> None:
    filtered = kept(root, "by-threshold", {"threshold": 0.5})
    scores = inputs(root)["pool_scores"].table()["score"]
    assert filtered.result.kept_documents == int((scores >= 0.5).sum())


def test_a_killed_build_goes_on_to_the_same_content(root: Path, by_documents: StepOutput[FilteredPoolResult]) -> None:
    with pytest.raises(RuntimeError, match="lost"):
        kept(root, "resumed", KEEP, Resources(compute=LostAfterOne()))
    finished = {file: file.stat().st_mtime_ns for file in (root / "resumed" / "documents").iterdir()}
    resumed = kept(root, "resumed", KEEP)
    assert resumed.manifest.content_digest == by_documents.manifest.content_digest
    assert len(finished) == 1
    assert {file: file.stat().st_mtime_ns for file in finished} == finished  # a finished shard is not made again


def test_a_shard_that_was_finished_by_a_lost_worker_is_not_made_again(
    root: Path, by_documents: StepOutput[FilteredPoolResult]
) -> None:
    made_from = [StageFolder(Folder(str(root / name))) for name in ("encoder", "pretraining_pool")]
    resources = Resources(compute=LosesEveryWorker(root / "scored-again"))
    scores = run_step(pool_scores, root, PoolScoresConfig(), made_from, name="scored-again", resources=resources)
    assert scores.manifest.content_digest == inputs(root)["pool_scores"].manifest.content_digest
    filtered = kept(root, "kept-again", KEEP, Resources(compute=LosesEveryWorker(root / "kept-again")))
    assert filtered.manifest.content_digest == by_documents.manifest.content_digest


def test_scoring_that_is_killed_goes_on_to_the_same_content(root: Path) -> None:
    command = [sys.executable, "-c", SCORE, str(root), "killed"]
    killed = subprocess.Popen(command)
    receipts = root / "killed" / "receipts"
    while not list(receipts.glob("*.json")) and killed.poll() is None:
        time.sleep(0.005)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert not (root / "killed" / "manifest.json").exists()
    subprocess.run(command, check=True)
    digests = [StageFolder(Folder(str(root / name))).manifest.content_digest for name in ("killed", "pool_scores")]
    assert digests[0] == digests[1]


def test_scores_that_do_not_match_the_pool_are_named(root: Path) -> None:
    shards = {f"{shard}.parquet": [] for shard in pool_shards(inputs(root)["pretraining_pool"])}
    short = stage_of_rows(root / "short", "pool_scores", shards, SCORES)
    made_from = [inputs(root)["pretraining_pool"], short]
    with pytest.raises(ValueError, match="pool_scores has 0 rows"):
        run_step(filtered_pool, root, filtering({"fraction": 0.5}), made_from, name="mismatch")


def test_each_stage_is_shown(root: Path, by_documents: StepOutput[FilteredPoolResult]) -> None:
    assert "█" in pool_scores.describe(pool_scores.output(inputs(root)["pool_scores"].folder))["scores"]
    shown = filtered_pool.describe(by_documents)
    assert "fraction 0.082" in shown["kept"]
    assert shown["at the cut and above"].count("\n") == 11


def test_parquet_holds_the_documents_of_json_lines(root: Path, by_documents: StepOutput[FilteredPoolResult]) -> None:
    tables = kept(root, "as-parquet", {**KEEP, "format": "parquet"})
    names = [shard.name for shard in tables.shards if shard.name.startswith("documents/")]
    rows = [row for name in names for row in tables.rows(name)]
    assert [{key: row[key] for key in row if row[key] is not None} for row in rows] == list(documents(by_documents))


@pytest.mark.peers
@pytest.mark.parametrize("form", ["jsonl.zst", "parquet"])
def test_datasets_datatrove_and_polars_read_what_was_kept(root: Path, form: str) -> None:
    filtered = kept(root, f"peers-{form}", {"fraction": 0.02, "of": "documents", "format": form})
    command = [str(project() / PEERS), "-c", READ_BY_OTHERS, f"{root}/peers-{form}/documents", form]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    ids = [row["id"] for shard in filtered.shards if "documents/" in shard.name for row in filtered.rows(shard.name)]
    assert orjson.loads(done.stdout.splitlines()[-1]) == dict.fromkeys(("datasets", "datatrove", "polars"), sorted(ids))
