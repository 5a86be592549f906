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

from datashop_assets.core.step import Resources
from datashop_assets.documents.pool import pool_shards, read_index
from datashop_assets.encoder import embeddings
from datashop_assets.encoder.build import build as build_encoder
from datashop_assets.filtered_pool import build as keeping
from datashop_assets.filtered_pool import certificate, score
from datashop_assets.filtered_pool.describe import describe
from datashop_assets.storage.folders import Folder
from datashop_assets.storage.root import project
from datashop_assets.storage.shards import read_rows
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.training_set.build import LABELS, SCHEMA
from datashop_assets_tests.benchmarks.sides import PEERS
from datashop_assets_tests.filtered_pool.pools import CONFIG, GOLD, LENGTHS, counted_tokens, gold_pool, training_rows
from datashop_assets_tests.stages import LosesEveryWorker, run_build, stage_of_rows

SCORE = """
import sys
from pathlib import Path
from datashop_assets.filtered_pool import score
from datashop_assets.storage.folders import Folder
from datashop_assets.storage.root import project
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets_tests.stages import run_build
root, name = Path(sys.argv[1]), sys.argv[2]
inputs = {stage: StageFolder(Folder(str(root / stage))) for stage in ("encoder", "pretraining_pool", "pool_embeddings")}
run_build(score.build, name, root, {}, inputs)
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
    """An indexed pool, an encoder, its scores, and token counts of four characters a token."""
    root = tmp_path_factory.mktemp("filtered")
    pool = gold_pool(root)
    labels = stage_of_rows(root, "training_set", {LABELS: training_rows(root, 400)}, SCHEMA)
    encoder = run_build(build_encoder, "encoder", root, CONFIG, {"training_set": labels, "pretraining_pool": pool})
    vectors = run_build(embeddings.build, "pool_embeddings", root, {"asked": False}, {"pretraining_pool": pool})
    scored_from = {"encoder": encoder, "pretraining_pool": pool, "pool_embeddings": vectors}
    run_build(score.build, "pool_scores", root, {}, scored_from)
    counted_tokens(root, pool)
    run_build(certificate.build, "keep_certificate", root, {"asked": False}, {})
    return root


class LostAfterOne:
    """A compute that does one item and is gone."""

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            yield function(item)
            raise RuntimeError("lost")


def inputs(root: Path) -> dict[str, StageFolder]:
    names = ("pretraining_pool", "pool_tokens", "pool_scores", "keep_certificate")
    return {name: StageFolder(Folder(str(root / name))) for name in names}


def kept(root: Path, name: str, keep: dict[str, Any], form: str = "jsonl.zst") -> StageFolder:
    config = {"keep": keep, "format": form, "slug": "mathematics", "gold": GOLD, "gold_uri": "embedded"}
    return run_build(keeping.build, name, root, config, inputs(root))


def documents(filtered: StageFolder) -> Iterator[dict[str, Any]]:
    for shard in filtered.shards:
        if shard.name.startswith("documents/"):
            yield from filtered.rows(shard.name)


@pytest.fixture(scope="module")
def by_documents(root: Path) -> StageFolder:
    return kept(root, "by-documents", {"fraction": 0.082, "of": "documents"})


def test_every_document_of_the_pool_is_scored_once_in_order(root: Path) -> None:
    pool, scores = inputs(root)["pretraining_pool"], inputs(root)["pool_scores"]
    for shard in pool_shards(pool):
        expected = [(row["row"], row["id"]) for row in read_index(pool, shard)]
        assert [(row["row"], row["id"]) for row in scores.rows(f"{shard}.parquet")] == expected
    assert sum(scores.metrics["histogram"]) == scores.metrics["documents"] == 11_709


def test_a_fraction_of_documents_is_kept_exactly(by_documents: StageFolder) -> None:
    metrics = by_documents.metrics
    assert metrics["kept_documents"] == metrics["budget"] == int(0.082 * 11_709)
    assert len(list(documents(by_documents))) == metrics["kept_documents"]
    assert sum(one["kept_documents"] for one in metrics["by_source"].values()) == metrics["kept_documents"]
    assert sum(one["kept_tokens"] for one in metrics["by_split"].values()) == metrics["kept_tokens"]


def test_nothing_that_is_left_out_scores_above_what_is_kept(by_documents: StageFolder) -> None:
    table = by_documents.table()
    lowest = table.filter("kept")["score"].min()
    assert by_documents.metrics["cut_score"] == lowest
    assert (table.filter(~pl.col("kept"))["score"] <= lowest).all()


def test_decisions_within_a_millionth_of_the_cut_are_counted_and_listed(root: Path, by_documents: StageFolder) -> None:
    scores = inputs(root)["pool_scores"].table()
    highest_left = scores.filter(~by_documents.table()["kept"])["margin"].max()
    near = scores.filter((pl.col("margin") - highest_left).abs() <= 1e-5)
    assert by_documents.metrics["cut"] == highest_left
    assert by_documents.metrics["near_cut"] == len(near) >= 1
    assert [one["id"] for one in by_documents.metrics["near_cut_documents"]] == near["id"].to_list()[:100]
    assert "Within 1e-5 of the cut: " in describe(by_documents)["kept"]


def test_kept_documents_keep_their_fields_and_gain_score_and_prompt(root: Path, by_documents: StageFolder) -> None:
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


def test_most_of_what_is_kept_is_mathematics_by_gold(by_documents: StageFolder) -> None:
    metrics = by_documents.metrics
    assert metrics["gold_precision"] > 0.75
    within = metrics["gold_within"]
    assert sum(found["gold_kept"] for found in within.values()) == metrics["gold_kept"]
    assert sum(found["gold_targets"] for found in within.values()) == metrics["gold_targets"]
    assert metrics["gold_precision_low"] < metrics["gold_precision"] < metrics["gold_precision_high"]


def test_a_fraction_of_tokens_is_never_exceeded_and_one_more_document_would(root: Path) -> None:
    filtered = kept(root, "by-tokens", {"fraction": 0.1, "of": "tokens"})
    metrics = filtered.metrics
    assert metrics["kept_tokens"] <= metrics["budget"] == metrics["tokens"] // 10
    lengths = inputs(root)["pool_tokens"].table()["length"].to_numpy()
    table = filtered.table().with_columns(length=pl.Series(lengths))
    following = table.filter(~pl.col("kept")).sort("score", descending=True)["length"][0]
    assert metrics["kept_tokens"] + following > metrics["budget"]


def test_a_threshold_keeps_every_score_from_it_upward(root: Path) -> None:
    filtered = kept(root, "by-threshold", {"threshold": 0.5})
    scores = inputs(root)["pool_scores"].table()["score"]
    assert filtered.metrics["kept_documents"] == int((scores >= 0.5).sum())


def test_a_killed_build_goes_on_to_the_same_content(root: Path, by_documents: StageFolder) -> None:
    keep = {"fraction": 0.082, "of": "documents"}
    config = {"keep": keep, "format": "jsonl.zst", "slug": "mathematics", "gold": [], "gold_uri": "embedded"}
    with pytest.raises(RuntimeError, match="lost"):
        run_build(keeping.build, "resumed", root, config, inputs(root), Resources(compute=LostAfterOne()))
    finished = {file: file.stat().st_mtime_ns for file in (root / "resumed" / "documents").iterdir()}
    resumed = run_build(keeping.build, "resumed", root, config, inputs(root))
    assert resumed.manifest.content_digest == by_documents.manifest.content_digest
    assert len(finished) == 1
    assert {file: file.stat().st_mtime_ns for file in finished} == finished  # a finished shard is not made again


def test_a_shard_that_was_finished_by_a_lost_worker_is_not_made_again(root: Path, by_documents: StageFolder) -> None:
    stages = {
        name: StageFolder(Folder(str(root / name))) for name in ("encoder", "pretraining_pool", "pool_embeddings")
    }
    scores = run_build(
        score.build, "scored-again", root, {}, stages, Resources(compute=LosesEveryWorker(root / "scored-again"))
    )
    assert scores.manifest.content_digest == inputs(root)["pool_scores"].manifest.content_digest
    config = {"keep": {"fraction": 0.082, "of": "documents"}, "format": "jsonl.zst", "slug": "mathematics"}
    tools = Resources(compute=LosesEveryWorker(root / "kept-again"))
    filtered = run_build(keeping.build, "kept-again", root, {**config, "gold": [], "gold_uri": ""}, inputs(root), tools)
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


def test_a_stage_that_does_not_match_the_pool_is_named(root: Path) -> None:
    short = stage_of_rows(
        root, "short_tokens", {f"{shard}.parquet": [] for shard in pool_shards(inputs(root)["pretraining_pool"])},
        LENGTHS,
    )  # fmt: skip
    config = {
        "keep": {"fraction": 0.5},
        "format": "jsonl.zst",
        "slug": "mathematics",
        "gold": [],
        "gold_uri": "embedded",
    }
    with pytest.raises(ValueError, match="pool_tokens has 0 rows"):
        run_build(keeping.build, "mismatch", root, config, {**inputs(root), "pool_tokens": short})


def test_each_stage_is_shown(root: Path, by_documents: StageFolder) -> None:
    assert "█" in describe(inputs(root)["pool_scores"])["scores"]
    assert "not asked" in describe(inputs(root)["keep_certificate"])["certificate"]
    shown = describe(by_documents)
    assert "fraction 0.082" in shown["kept"]
    assert shown["at the cut and above"].count("\n") == 11


def test_a_budget_of_tokens_is_spent_from_the_highest_score_down(root: Path) -> None:
    metrics = kept(root, "by-budget", {"budget": 20_000, "of": "tokens"}).metrics
    assert metrics["budget"] == 20_000 >= metrics["kept_tokens"] > 18_000
    everything = kept(root, "by-large-budget", {"budget": 10**12, "of": "tokens"}).metrics
    assert everything["kept_documents"] == 11_709


def test_parquet_holds_the_documents_of_json_lines(root: Path, by_documents: StageFolder) -> None:
    keep = {"fraction": 0.082, "of": "documents"}
    tables = kept(root, "as-parquet", keep, "parquet")
    names = [shard.name for shard in tables.shards if shard.name.startswith("documents/")]
    rows = [row for name in names for row in tables.rows(name)]
    assert [{key: row[key] for key in row if row[key] is not None} for row in rows] == list(documents(by_documents))


@pytest.mark.peers
@pytest.mark.parametrize("form", ["jsonl.zst", "parquet"])
def test_datasets_datatrove_and_polars_read_what_was_kept(root: Path, form: str) -> None:
    filtered = kept(root, f"peers-{form}", {"fraction": 0.02, "of": "documents"}, form)
    command = [str(project() / PEERS), "-c", READ_BY_OTHERS, f"{root}/peers-{form}/documents", form]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    ids = [row["id"] for shard in filtered.shards if "documents/" in shard.name for row in filtered.rows(shard.name)]
    assert orjson.loads(done.stdout.splitlines()[-1]) == dict.fromkeys(("datasets", "datatrove", "polars"), sorted(ids))
