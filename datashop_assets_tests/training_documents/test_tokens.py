"""The random documents of the pool that models read, as tokens."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from datashop_assets.core.step import Resources
from datashop_assets.documents.nearness import HeldoutBands
from datashop_assets.documents.pool import pool_shards, read_index, read_pool
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.training_documents import tokens as module
from datashop_assets.training_documents.results import TOKENIZER, read_tokenizer
from datashop_assets.training_documents.settings import TrainingSettings
from datashop_assets.training_documents.steps import pool_tokens
from datashop_assets.training_documents.tokens import NEAR, SHARED, ShardJob, tokenize_shard
from datashop_assets_tests.small_lm import (
    SENTENCE,
    TRAINING,
    TokenizedPool,
    decontaminate,
    documents,
    make_pool,
    tokenize_pool,
    tokens_config,
)
from datashop_assets_tests.stages import LosesEveryWorker, run_step, writer

FEW = {"steps": 10, "seeds": 2}  # 1,280 tokens a seed, of a pool of some 90,000


def rows_of(found: StageFolder) -> dict[tuple[str, int], Mapping[str, Any]]:
    return {(shard.name, row["row"]): row for shard in found.shards for row in found.rows(shard.name)}


def test_a_document_that_is_drawn_is_there_under_its_row(tokenized: TokenizedPool) -> None:
    tokenizer = read_tokenizer(tokenized.tokens)
    found = rows_of(tokenized.tokens)
    texts = {
        (f"{shard}.parquet", row): one
        for shard in pool_shards(tokenized.pool)
        for row, one in read_pool(tokenized.pool, shard)
    }
    assert 200 < len(found) <= len(texts)
    for place, row in found.items():
        assert (row["id"], row["source"]) == (texts[place].id, texts[place].source)
        assert row["bytes"] == len(texts[place].text.encode())
        if row["left_out"] is None:
            assert tokenizer.decode(row["tokens"]) == texts[place].text
            assert row["length"] == len(row["tokens"])


def test_nothing_held_out_is_drawn_and_nothing_near_it_is_read(tokenized: TokenizedPool) -> None:
    splits = {
        (f"{shard}.parquet", row["row"]): row["split"]
        for shard in pool_shards(tokenized.pool)
        for row in read_index(tokenized.pool, shard)
    }
    assert {splits[place] for place in rows_of(tokenized.tokens)} == {"train"}


def test_the_result_counts_what_may_be_read_and_what_is_left_out(tokenized: TokenizedPool) -> None:
    table, counted = tokenized.tokens.table(), tokenized.tokens.result.documents
    read = table.filter(pl.col("left_out").is_null())
    assert (counted.documents, counted.tokens) == (len(read), read["tokens"].list.len().sum())
    assert counted.left_out == dict(Counter(reason for reason in table["left_out"] if reason is not None))
    assert counted.drawn == len(table)


@pytest.fixture(scope="module")
def repetitive(tmp_path_factory: pytest.TempPathFactory) -> StageFolder:
    """A pool in which every tenth document repeats another one but for a word, and every tenth quotes a sentence."""
    rows = list(documents())
    for number in range(0, 990, 10):
        rows[number + 1] = {**rows[number + 1], "text": f"{rows[number]['text']} again"}
        rows[number + 2] = {**rows[number + 2], "text": f"{rows[number + 2]['text']} {SENTENCE}"}
    return make_pool(tmp_path_factory.mktemp("repetitive"), rows)


def test_documents_near_held_out_ones_or_sharing_text_with_them_are_left_out_with_the_reason(
    repetitive: StageFolder, tmp_path: Path
) -> None:
    made = tokenize_pool(tmp_path, repetitive)
    near = HeldoutBands.load(repetitive)
    texts = {
        (f"{shard}.parquet", row): one.text
        for shard in pool_shards(repetitive)
        for row, one in read_pool(repetitive, shard)
    }
    reasons = Counter[str | None]()
    for place, row in rows_of(made.tokens).items():
        reasons[row["left_out"]] += 1
        assert (row["left_out"] == NEAR) == near.near([texts[place]])[0]
        if row["left_out"] == SHARED:
            assert row["example"] in " ".join(texts[place].split())
            assert row["evaluation_id"]
        if row["left_out"] is not None:
            assert row["tokens"] == []
    assert reasons[NEAR] + reasons[SHARED] > 20
    assert made.tokens.result.documents.left_out == {key: count for key, count in reasons.items() if key is not None}
    shown = pool_tokens.describe(made.tokens)
    assert SHARED in shown["what models read of the pool"]
    most = max((row for row in rows_of(made.tokens).values() if row["shared"]), key=lambda row: row["shared"])
    assert most["example"] in shown["some overlaps"]


def test_as_much_is_drawn_as_the_runs_read_and_not_much_more(tokenized: TokenizedPool, tmp_path: Path) -> None:
    config = tokens_config(TrainingSettings(**{**TRAINING, **FEW}))
    found = run_step(pool_tokens, tmp_path, config, [tokenized.pool, tokenized.decontamination]).result.documents
    wanted = 2 * 10 * 4 * 32
    assert wanted <= found.tokens + found.documents <= 3 * wanted


def test_what_is_read_does_not_depend_on_how_much_was_guessed(
    tokenized: TokenizedPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a margin that is too small the draw is repeated, and holds the same documents for every stream."""
    settings = TrainingSettings(**{**TRAINING, **FEW})
    drawn = []
    for name, margin in (("enough", 3.0), ("too little", 0.2)):
        monkeypatch.setattr(module, "MARGIN", margin)
        inputs = [tokenized.pool, tokenized.decontamination]
        made = run_step(pool_tokens, tmp_path / name, tokens_config(settings), inputs)
        streams = [one for seed in range(2) for one in module.pool_streams(seed, 640, 640, 0.5)]
        found = module.draw_exactly(module.tokenized_documents(made), streams)
        drawn.append([[piece.id for _, piece in draw.keyed()] for [draw] in found])
        assert all(draw.size >= 641 for [draw] in found)
    assert drawn[0] == drawn[1]


def test_a_worker_that_is_lost_has_written_what_the_next_would(tokenized: TokenizedPool, tmp_path: Path) -> None:
    compute = LosesEveryWorker(tmp_path / "pool_tokens")
    config = tokens_config(TrainingSettings(**TRAINING))
    again = run_step(
        pool_tokens,
        tmp_path,
        config,
        [tokenized.pool, tokenized.decontamination],
        resources=Resources(compute=compute),
    )
    assert again.manifest.content_digest == tokenized.tokens.manifest.content_digest


def test_a_build_that_was_stopped_goes_on_after_its_last_shard(
    tokenized: TokenizedPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, inputs = tokens_config(TrainingSettings(**TRAINING)), [tokenized.pool, tokenized.decontamination]
    read = []

    def stops_at_the_second(job: ShardJob) -> str:
        read.append(job.shard)
        if len(read) == 2:
            raise InterruptedError
        return tokenize_shard(job)

    monkeypatch.setattr(module, "tokenize_shard", stops_at_the_second)
    with pytest.raises(InterruptedError):
        run_step(pool_tokens, tmp_path, config, inputs)
    assert writer(tmp_path, "pool_tokens").finished(TOKENIZER)
    again = run_step(pool_tokens, tmp_path, config, inputs)
    assert read[2:] == [read[1]]
    assert again.manifest.content_digest == tokenized.tokens.manifest.content_digest
    assert again.metrics == tokenized.tokens.metrics


def test_the_index_of_evaluation_documents_is_of_all_held_out_ones(tokenized: TokenizedPool, tmp_path: Path) -> None:
    heldout = sum(
        row["split"] == "heldout" for shard in pool_shards(tokenized.pool) for row in read_index(tokenized.pool, shard)
    )
    assert decontaminate(tmp_path, tokenized.pool).result.heldout_documents == heldout
