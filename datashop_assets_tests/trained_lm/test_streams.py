"""Which documents a model may read, and which it does."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from datashop_assets.core.step import StepOutput
from datashop_assets.documents.pool import pool_shards
from datashop_assets.documents.results import PretrainingPoolResult
from datashop_assets.models.tokenizer import end_token
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.trained_lm.mixture import (
    OCTAVES,
    SeedDocuments,
    Strata,
    kept_rows,
    kept_streams,
    matched_documents,
    matched_streams,
    pool_documents,
)
from datashop_assets.trained_lm.results import MatchedLMResult, TrainedLMResult
from datashop_assets.training_documents.results import DrawnDocuments, PoolTokensResult, read_tokenizer
from datashop_assets.training_documents.settings import TrainingSettings
from datashop_assets.training_documents.tokens import (
    SCHEMA,
    Keyed,
    PoolDocuments,
    TokenizedDocument,
    TokenizedDocuments,
    draw_exactly,
    read_documents_of,
    tokenized_documents,
)
from datashop_assets_tests.small_lm import (
    TRAINING,
    TokenizedPool,
    make_filtered,
    tokenize_pool,
    train_candidate,
    train_matched,
)
from datashop_assets_tests.stages import finish, writer

SETTINGS = TrainingSettings(**TRAINING)
SHORT = {"steps": 20, "seeds": 2}


def ids(documents: Keyed) -> set[str]:
    return {piece.id for _, piece in documents}


def of_split(pool: StageFolder, split: str) -> set[str]:
    return set(pool.table().filter(split=split)["id"])


def kept_of(filtered: StageFolder, tokenized: TokenizedPool, settings: TrainingSettings = SETTINGS) -> list[Keyed]:
    """What every seed reads of kept documents, all of which happen to be among the random ones of the pool."""
    streams = kept_streams(filtered, settings)
    return [list(draw.keyed()) for [draw] in draw_exactly(tokenized_documents(tokenized.tokens), streams)]


@pytest.fixture(scope="module")
def everything(pool: StageFolder, tmp_path_factory: pytest.TempPathFactory) -> TokenizedPool:
    """The pool with every document of the training part tokenized."""
    return tokenize_pool(tmp_path_factory.mktemp("everything"), pool, steps=2000)


@pytest.fixture(scope="module")
def candidate(
    tokenized: TokenizedPool, sums: StageFolder, tmp_path_factory: pytest.TempPathFactory
) -> StepOutput[TrainedLMResult]:
    return train_candidate(tmp_path_factory.mktemp("candidate"), tokenized, sums, **SHORT)


@pytest.fixture(scope="module")
def matched(
    tokenized: TokenizedPool, sums: StageFolder, tmp_path_factory: pytest.TempPathFactory
) -> StepOutput[MatchedLMResult]:
    return train_matched(tmp_path_factory.mktemp("matched"), tokenized, sums, **SHORT)


def test_nothing_held_out_is_read_even_where_it_was_kept(
    tokenized: TokenizedPool, candidate: StepOutput[TrainedLMResult], pool: StageFolder
) -> None:
    train = of_split(pool, "train")
    for seed in pool_documents(tokenized.tokens, SETTINGS):
        assert ids(seed.shared) | ids(seed.own) <= train
    for shard in pool_shards(pool):
        assert set(candidate.table(f"documents/{shard}.parquet")["id"]) <= train


def test_control_and_candidate_share_their_shared_rows(tokenized: TokenizedPool, sums: StageFolder) -> None:
    end = end_token(read_tokenizer(tokenized.tokens))
    control = pool_documents(tokenized.tokens, SETTINGS)
    for seed, kept in zip(control, kept_of(sums, tokenized), strict=True):
        rows = seed.rows(SETTINGS, end).tokens
        others = SeedDocuments(seed.shared, kept).rows(SETTINGS, end).tokens
        same = (rows == others).all(axis=1)
        assert same[~SETTINGS.own_rows].all()
        assert not same[SETTINGS.own_rows].any()


def test_the_two_streams_of_the_control_share_no_document(tokenized: TokenizedPool) -> None:
    for seed in pool_documents(tokenized.tokens, SETTINGS):
        assert not ids(seed.shared) & ids(seed.own)


def test_seeds_read_different_documents(tokenized: TokenizedPool) -> None:
    one, two = pool_documents(tokenized.tokens, SETTINGS)[:2]
    assert ids(one.shared) != ids(two.shared)


def test_the_candidates_own_stream_holds_kept_documents_only(candidate: StepOutput[TrainedLMResult]) -> None:
    written = [file.name for file in candidate.manifest.files if file.name.startswith("documents/")]
    found = [source for name in written for source in candidate.table(name)["source"]]
    assert set(found) == {"sums"}
    assert candidate.result.own.checked.drawn == len(found)
    assert candidate.result.kept_documents >= len(found)


def test_what_all_kept_documents_hold_is_estimated_from_those_that_were_drawn(
    tokenized: TokenizedPool, sums: StageFolder, candidate: StepOutput[TrainedLMResult], tmp_path: Path
) -> None:
    counted = train_candidate(tmp_path, tokenized, sums, **{**SHORT, "steps": 400, "max_epochs": 50.0}).result
    assert counted.own.checked.drawn == counted.kept_documents
    assert counted.kept_tokens == counted.own.checked.tokens + counted.own.checked.documents
    assert candidate.result.own.checked.drawn < candidate.result.kept_documents == counted.kept_documents
    assert candidate.result.kept_tokens == pytest.approx(counted.kept_tokens, rel=0.05)


def test_a_pool_smaller_than_a_batch_is_refused_with_what_to_lower(tokenized: TokenizedPool) -> None:
    large = TrainingSettings(**{**TRAINING, "batch": 4096, "length": 1024})
    with pytest.raises(ValueError, match=r"fewer than one batch of 4194304 \(training.batch 4096 x training.length"):
        pool_documents(tokenized.tokens, large)


def test_a_pool_of_one_document_is_refused(tmp_path: Path) -> None:
    document = {"row": 0, "id": "d", "source": "s", "bytes": 900, "length": 900, "tokens": [5] * 900}
    output = writer(tmp_path, "pool_tokens")
    output.write_rows("a.parquet", [dict.fromkeys(SCHEMA) | document], SCHEMA)
    drawn = DrawnDocuments(documents=1, bytes=900, tokens=900, left_out={}, left_out_by_source={})
    result = PoolTokensResult(vocabulary=300, separator="<|endoftext|>", bytes_per_token=1.0, documents=drawn)
    finished = finish(output, "pool_tokens", result.model_dump(mode="json"), {})
    with pytest.raises(ValueError, match=r"too few for two streams, .* give a larger pool"):
        pool_documents(StepOutput(finished.folder, PoolTokensResult), SETTINGS)


def test_a_filtered_pool_that_kept_nothing_is_refused(tokenized: TokenizedPool, tmp_path: Path) -> None:
    nothing = make_filtered(tmp_path, tokenized.pool, lambda row: False)
    with pytest.raises(ValueError, match=r"hold 0 tokens, .* keep more: raise keep.fraction or lower keep.threshold"):
        train_candidate(tmp_path, tokenized, nothing)


def test_the_kept_documents_are_gone_through_no_more_often_than_is_allowed(
    tokenized: TokenizedPool, sums: StageFolder, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"times through the \d+ tokens of the kept .*max_epochs is 0.25. Keep more"):
        train_candidate(tmp_path, tokenized, sums, max_epochs=0.25)
    with pytest.raises(ValueError, match=r"times through the \d+ tokens of the kept .*max_epochs is 0.25. Keep more"):
        train_matched(tmp_path, tokenized, sums, max_epochs=0.25)


def test_a_matched_draw_has_the_tokens_of_the_kept_documents_by_source_and_length(
    everything: TokenizedPool, tmp_path: Path
) -> None:
    mixed = make_filtered(
        tmp_path, everything.pool, lambda row: row["row"] % (3 if row["source"] == "sums" else 11) == 0
    )
    settings = TrainingSettings(**{**TRAINING, "steps": 2000})
    kept, strata = kept_of(mixed, everything, settings), Strata.of_pool(pool_output(everything))
    streams = matched_streams(kept, strata, everything.tokens.result.bytes_per_token)
    for own, found in zip(kept, matched_documents(tokenized_documents(everything.tokens), streams), strict=True):
        wanted, drawn = by_stratum(own, strata), by_stratum(found, strata)
        assert set(drawn) == set(wanted)
        assert all(abs(drawn[stratum] - wanted[stratum]) <= 150 for stratum in wanted)  # half of a document
        assert ids(own) != ids(found)


def by_stratum(documents: Keyed, strata: Strata) -> Counter[int]:
    found = Counter[int]()
    for _, piece in documents:
        [stratum] = strata.of([piece.source], np.array([piece.bytes])).tolist()
        found[stratum] += 1 + len(piece.tokens)
    return found


def pool_output(tokenized: TokenizedPool) -> StepOutput[PretrainingPoolResult]:
    return StepOutput(tokenized.pool.folder, PretrainingPoolResult)


def test_a_stratum_is_a_source_and_an_octave_of_bytes(tokenized: TokenizedPool) -> None:
    strata = Strata.of_pool(pool_output(tokenized))
    assert strata.sources == {"sentences": 1, "sums": 2}
    found = strata.of(["sums", "sums", "sums", "sentences", "elsewhere"], np.array([255, 256, 511, 256, 256]))
    assert found.tolist() == [2 * OCTAVES + 8, 2 * OCTAVES + 9, 2 * OCTAVES + 9, OCTAVES + 9, 9]


def test_a_document_alone_in_its_source_is_not_matched_by_itself() -> None:
    count = 1000
    sources = np.array([f"https://{n}.org" for n in range(count)], dtype=object)
    documents = PoolDocuments("a", np.arange(count), sources, np.full(count, 50))
    pieces = [TokenizedDocument(str(n), sources[n], 50, np.full(50, 5, dtype=np.int32)) for n in range(count)]
    kept = [[(n, pieces[n]) for n in range(100)] for _ in range(4)]
    streams = matched_streams(kept, Strata({}), 1.0)
    for own in matched_documents(iter([TokenizedDocuments(documents, pieces)]), streams):
        drawn = [int(piece.id) for _, piece in own]
        assert len(drawn) == pytest.approx(100, abs=2)
        assert sum(row < 100 for row in drawn) < 30  # of all documents a tenth was kept


def test_a_stratum_of_one_kept_document_is_matched_by_one_however_long() -> None:
    """Of an octave of bytes, and of more than twice as many tokens."""
    pieces = [TokenizedDocument(str(n), "s", 300, np.full(size, 5, dtype=np.int32)) for n, size in enumerate((90, 250))]
    documents = PoolDocuments("a", np.arange(1), np.array(["s"], dtype=object), np.array([300]))
    streams = matched_streams([[(0, pieces[0])]], Strata({"s": 1}), 1.0)
    [found] = matched_documents(iter([TokenizedDocuments(documents, pieces[1:])]), streams)
    assert ids(found) == {"1"}


def test_a_matched_control_reads_the_mix_of_what_the_candidate_reads(
    matched: StepOutput[MatchedLMResult], candidate: StepOutput[TrainedLMResult]
) -> None:
    written = [file.name for file in matched.manifest.files if file.name.startswith("documents/")]
    assert {source for name in written for source in matched.table(name)["source"]} == {"sums"}
    own, kept = matched.result.own, matched.result.kept_tokens_held
    assert kept == candidate.result.own.tokens_held
    assert all(abs(one - two) < 300 for one, two in zip(own.tokens_held, kept, strict=True))
    assert own.epochs == pytest.approx(1.0, abs=0.2)


def test_the_rows_that_a_filter_keeps(sums: StageFolder, pool: StageFolder) -> None:
    [first, _] = pool_shards(pool)
    found = read_documents_of(pool, first)
    kept = np.isin(found.rows, kept_rows(sums, first))
    assert set(found.sources[kept]) == {"sums"}
    assert set(found.sources[~kept]) == {"sentences"}
