"""Language models of 30,000 weights on sums and sentences: small enough to train in a test, real in every part."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl

from datashop_assets.core.step import Resources, StepOutput
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.trained_lm.results import (
    CandidateConfig,
    ControlConfig,
    ControlLMResult,
    MatchedLMResult,
    TrainedLMResult,
)
from datashop_assets.trained_lm.steps import control_lm, matched_lm, trained_lm
from datashop_assets.training_documents.results import DecontaminationResult, PoolTokensResult
from datashop_assets.training_documents.settings import DecontaminationConfig, PoolTokensConfig, TrainingSettings
from datashop_assets.training_documents.steps import decontamination, pool_tokens
from datashop_assets_tests.documents import making
from datashop_assets_tests.stages import run_step, stage_of_rows
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


def decontaminate(root: Path, pool: StageFolder, words: int = 13) -> StepOutput[DecontaminationResult]:
    return run_step(decontamination, root, DecontaminationConfig(ngram=words, sets=()), [pool])


def tokens_config(settings: TrainingSettings, vocabulary: int | None = 384, **changes: Any) -> PoolTokensConfig:
    """What `pool_tokens` draws for runs with these settings."""
    given = {
        "vocabulary": vocabulary,
        "checkpoint": None,
        "seeds": settings.seeds,
        "shared_tokens": settings.tokens - settings.own_tokens,
        "own_tokens": settings.own_tokens,
        "filtered_share": settings.filtered_share,
    }
    return PoolTokensConfig.model_validate({**given, **changes})


@dataclass(frozen=True)
class TokenizedPool:
    """A pool, and what is made of it for every prompt."""

    pool: StageFolder
    decontamination: StepOutput[DecontaminationResult]
    tokens: StepOutput[PoolTokensResult]

    @property
    def outputs(self) -> list[StageFolder]:
        return [self.pool, self.decontamination, self.tokens]


def tokenize_pool(root: Path, pool: StageFolder, vocabulary: int = 384, **changes: Any) -> TokenizedPool:
    """`changes` of the training settings."""
    index = decontaminate(root, pool)
    config = tokens_config(TrainingSettings(**{**TRAINING, **changes}), vocabulary)
    return TokenizedPool(pool, index, run_step(pool_tokens, root, config, [pool, index]))


def train_control(root: Path, pool: TokenizedPool, **changes: Any) -> StepOutput[ControlLMResult]:
    config = ControlConfig(settings=TrainingSettings(**{**TRAINING, **changes}), checkpoint=None)
    return run_step(control_lm, root, config, [pool.tokens], resources=TOOLS)


def train_candidate(
    root: Path, pool: TokenizedPool, filtered: StageFolder, max_epochs: float = 4.0, **changes: Any
) -> StepOutput[TrainedLMResult]:
    config = candidate_config(max_epochs, **changes)
    return run_step(trained_lm, root, config, [*pool.outputs, filtered], resources=TOOLS)


def train_matched(
    root: Path, pool: TokenizedPool, filtered: StageFolder, max_epochs: float = 4.0, **changes: Any
) -> StepOutput[MatchedLMResult]:
    config = candidate_config(max_epochs, **changes)
    return run_step(matched_lm, root, config, [*pool.outputs, filtered], resources=TOOLS)


def candidate_config(max_epochs: float = 4.0, **changes: Any) -> CandidateConfig:
    settings = TrainingSettings(**{**TRAINING, **changes})
    return CandidateConfig(settings=settings, checkpoint=None, max_epochs=max_epochs)
