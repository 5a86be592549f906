"""The pool as tokens."""

from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from tokenizers import Tokenizer

from datashop_assets.core.step import OpenRun, Resources
from datashop_assets.documents.pool import pool_shards, read_index, read_pool
from datashop_assets.storage.folders import Folder
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.trained_lm.tokens import TOKENIZER, build
from datashop_assets_tests.stages import finish, writer


def test_every_document_of_the_pool_is_there_under_its_row(pool: StageFolder, tokens: StageFolder) -> None:
    tokenizer = Tokenizer.from_file(str(tokens.file(TOKENIZER)))
    for shard in pool_shards(pool):
        rows = list(tokens.rows(f"{shard}.parquet"))
        found = [(row["row"], tokenizer.decode(row["tokens"]), row["source"], row["bytes"]) for row in rows]
        wanted = [(row, one.text, one.source, len(one.text.encode())) for row, one in read_pool(pool, shard)]
        assert found == wanted
        assert [row["split"] for row in rows] == [row["split"] for row in read_index(pool, shard)]


def test_the_metrics_count_documents_and_tokens_by_split(tokens: StageFolder) -> None:
    table = pl.concat([tokens.table(shard.name) for shard in tokens.shards])
    assert tokens.metrics["documents"] == dict(Counter(sorted(table["split"])))
    assert sum(tokens.metrics["tokens"].values()) == table["tokens"].list.len().sum()


def test_a_build_that_was_stopped_goes_on_after_its_last_shard(
    pool: StageFolder, tokens: StageFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, answers = writer(tmp_path, "pool_tokens"), Folder(f"{tmp_path}/answers")
    run = OpenRun({"vocabulary": 384}, {"pretraining_pool": pool}, output, Resources(), tmp_path, answers)
    read = []

    def stops_at_the_second(folder: StageFolder, shard: str) -> object:
        read.append(shard)
        if len(read) == 2:
            raise InterruptedError
        return read_pool(folder, shard)

    monkeypatch.setattr("datashop_assets.trained_lm.tokens.read_pool", stops_at_the_second)
    with pytest.raises(InterruptedError):
        build(run)
    metrics = build(run)
    assert read[2:] == [read[1]]
    again = finish(run.output, "pool_tokens", metrics, run.config)
    assert again.manifest.content_digest == tokens.manifest.content_digest
    assert again.metrics == tokens.metrics
