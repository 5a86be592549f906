"""Language models of 30,000 weights on sums and sentences: small enough to train in a test, real in every part."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl

from datashop_assets.core.step import Resources
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.trained_lm.build import build_candidate, build_control, build_matched
from datashop_assets.trained_lm.decontamination import build as build_decontamination
from datashop_assets.trained_lm.tokens import build as build_tokens
from datashop_assets.trained_lm.training_pool import TrainingPool
from datashop_assets_tests.documents import making
from datashop_assets_tests.stages import run_build, stage_of_rows
from resources.trainers import LocalTrainer

FIELDS = {"text_field": "text", "id_field": "id", "source_field": "source"}
KEPT = {"row": pl.Int64, "id": pl.String, "score": pl.Float64, "kept": pl.Boolean}
TRAINING: Mapping[str, Any] = {
    "depth": 1,
    "length": 32,
    "batch": 4,
    "steps": 80,
    "seeds": 4,
    "learning_rate": 0.03,
    "warmup_fraction": 0.1,
    "filtered_share": 0.5,
}
SENTENCE = "the keeper of the old stone tower carries a light over cold water until morning and the wind falls"
WORDS = SENTENCE.split()
TOOLS = Resources(trainer=LocalTrainer())


def documents() -> Iterator[dict[str, Any]]:
    """850 documents of sentences and 150 of sums, each of some 300 characters."""
    random = np.random.default_rng(7)
    for number in range(1000):
        if number % 20 < 17:
            text, source = " ".join(random.choice(WORDS, 50)), "sentences"
        else:
            pairs = random.integers(0, 100, (20, 2)).tolist()
            text, source = "\n".join(f"{one} + {two} = {one + two}" for one, two in pairs), "sums"
        yield {"id": f"{source}-{number}", "text": text, "source": source}


def make_pool(root: Path, given: Iterable[Mapping[str, Any]] | None = None) -> StageFolder:
    """The documents, those above where none are given, as a pool of two shards."""
    folder = root / "documents"
    folder.mkdir(parents=True)
    rows = [orjson.dumps(document) + b"\n" for document in (documents() if given is None else given)]
    for shard in range(2):
        (folder / f"part-{shard}.jsonl").write_bytes(b"".join(rows[shard::2]))
    return making.make_pool(f"{folder}/*.jsonl", root, 0.2)


def make_tokens(root: Path, pool: StageFolder, vocabulary: int = 384) -> StageFolder:
    return run_build(build_tokens, "pool_tokens", root, {"vocabulary": vocabulary}, {"pretraining_pool": pool})


def make_filtered(root: Path, pool: StageFolder, kept: Callable[[Mapping[str, Any]], bool]) -> StageFolder:
    """What `filtered_pool` says of every document: kept or not."""
    shards = {
        shard.name: [
            {"row": row["row"], "id": row["id"], "score": 1.0 if kept(row) else 0.0, "kept": kept(row)}
            for row in pool.rows(shard.name)
        ]
        for shard in pool.shards
    }
    return stage_of_rows(root, "filtered_pool", shards, KEPT)


def decontaminate(root: Path, pool: StageFolder, words: int = 13) -> StageFolder:
    config = {"ngram": words, "sets": []}
    return run_build(build_decontamination, "decontamination", root, config, {"pretraining_pool": pool})


def train_control(root: Path, pool: TrainingPool, **changes: Any) -> StageFolder:
    return run_build(build_control, "control_lm", root, {**TRAINING, **changes}, inputs_of(pool), TOOLS)


def train_candidate(root: Path, pool: TrainingPool, filtered: StageFolder, **changes: Any) -> StageFolder:
    inputs = {"filtered_pool": filtered, **inputs_of(pool)}
    return run_build(build_candidate, "trained_lm", root, {**TRAINING, **changes}, inputs, TOOLS)


def train_matched(root: Path, pool: TrainingPool, filtered: StageFolder, **changes: Any) -> StageFolder:
    inputs = {"filtered_pool": filtered, **inputs_of(pool)}
    return run_build(build_matched, "matched_lm", root, {**TRAINING, **changes}, inputs, TOOLS)


def inputs_of(pool: TrainingPool) -> dict[str, StageFolder]:
    return {"pool_tokens": pool.tokens, "decontamination": pool.decontamination}
