"""Which documents a model may read, and which it does."""

from collections import Counter
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.trained_lm.decontamination import SCHEMA as LEFT_OUT
from datashop_assets.trained_lm.matching import kept_of
from datashop_assets.trained_lm.settings import TrainingSettings
from datashop_assets.trained_lm.streams import Reading, read_streams
from datashop_assets.trained_lm.tokenizer import end_token
from datashop_assets.trained_lm.tokens import SCHEMA as TOKENS
from datashop_assets.trained_lm.tokens import TOKENIZER
from datashop_assets.trained_lm.training_pool import TrainingPool
from datashop_assets_tests.small_lm import TRAINING, make_filtered
from datashop_assets_tests.stages import stage_of_rows

SETTINGS = TrainingSettings.from_config(TRAINING)
Read = set[tuple[int, ...]]


def drawn(reading: Reading) -> Read:
    """The documents of all seeds, as tokens."""
    both = [draw for seed in reading.seeds for draw in (seed.shared, seed.own)]
    return {tuple(piece.tokens.tolist()) for draw in both for _, piece in draw.keyed()}


def of_split(tokens: StageFolder, *splits: str) -> Read:
    return {
        tuple(row["tokens"]) for shard in tokens.shards for row in tokens.rows(shard.name) if row["split"] in splits
    }


def test_nothing_held_out_is_read_even_where_it_was_kept(
    training_pool: TrainingPool, tokens: StageFolder, sums: StageFolder
) -> None:
    heldout = of_split(tokens, "heldout", "near_heldout")
    for filtered in (None, sums):
        read = drawn(read_streams(training_pool, filtered, SETTINGS))
        assert read <= of_split(tokens, "train")
        assert not read & heldout


def test_control_and_candidate_share_their_shared_rows(
    training_pool: TrainingPool, tokens: StageFolder, sums: StageFolder
) -> None:
    end = end_token(Tokenizer.from_file(str(tokens.file(TOKENIZER))))
    control, candidate = (read_streams(training_pool, filtered, SETTINGS) for filtered in (None, sums))
    for one, two in zip(control.seeds, candidate.seeds, strict=True):
        rows, others = one.rows(SETTINGS, end).tokens, two.rows(SETTINGS, end).tokens
        same = (rows == others).all(axis=1)
        assert same[~SETTINGS.own_rows].all()
        assert not same[SETTINGS.own_rows].any()


def test_seeds_read_different_documents(training_pool: TrainingPool) -> None:
    one, two = read_streams(training_pool, None, SETTINGS).seeds[:2]
    assert {key for key, _ in one.shared.keyed()} != {key for key, _ in two.shared.keyed()}


def test_the_candidates_own_stream_holds_kept_documents_only(
    training_pool: TrainingPool, tokens: StageFolder, sums: StageFolder
) -> None:
    kept = {
        tuple(row["tokens"]) for shard in tokens.shards for row in tokens.rows(shard.name) if row["source"] == "sums"
    }
    for seed in read_streams(training_pool, sums, SETTINGS).seeds:
        assert {tuple(found.tokens.tolist()) for _, found in seed.own.keyed()} <= kept


def test_a_pool_smaller_than_a_batch_is_refused_with_what_to_lower(training_pool: TrainingPool) -> None:
    large = TrainingSettings.from_config({**TRAINING, "batch": 4096, "length": 1024})
    with pytest.raises(ValueError, match=r"fewer than one batch of 4194304 \(training.batch 4096 x training.length"):
        read_streams(training_pool, None, large)


def test_a_pool_of_one_document_is_refused(tmp_path: Path) -> None:
    document = {"row": 0, "id": "d", "split": "train", "source": "s", "bytes": 900, "length": 900}
    tokens = stage_of_rows(tmp_path, "pool_tokens", {"a.parquet": [{**document, "tokens": [5] * 900}]}, TOKENS)
    pool = TrainingPool(tokens, stage_of_rows(tmp_path, "decontamination", {"a.parquet": []}, LEFT_OUT))
    with pytest.raises(ValueError, match=r"too few for two streams, .* give a larger pool"):
        read_streams(pool, None, SETTINGS)


def test_a_filtered_pool_that_kept_nothing_is_refused(
    training_pool: TrainingPool, pool: StageFolder, tmp_path: Path
) -> None:
    nothing = make_filtered(tmp_path, pool, lambda row: False)
    with pytest.raises(ValueError, match=r"hold 0 tokens, .* keep more: raise keep.fraction or lower keep.threshold"):
        read_streams(training_pool, nothing, SETTINGS)


def test_the_kept_documents_are_gone_through_no_more_often_than_is_allowed(
    training_pool: TrainingPool, sums: StageFolder
) -> None:
    greedy = TrainingSettings.from_config({**TRAINING, "max_epochs": 0.25})
    with pytest.raises(ValueError, match=r"times through the \d+ tokens of the kept .*max_epochs is 0.25. Keep more"):
        read_streams(training_pool, sums, greedy)


def test_a_matched_draw_has_the_tokens_of_the_kept_documents_by_source_and_length(
    training_pool: TrainingPool, pool: StageFolder, tmp_path: Path
) -> None:
    mixed = make_filtered(tmp_path, pool, lambda row: row["row"] % (3 if row["source"] == "sums" else 11) == 0)
    wanted = kept_of(training_pool, mixed).tokens
    long = TrainingSettings.from_config({**TRAINING, "steps": 2000, "max_epochs": 50.0})
    for seed in read_streams(training_pool, mixed, long, matched=True).seeds:
        found = Counter[tuple[str, int]]()
        for _, piece in seed.own.keyed():
            size = 1 + len(piece.tokens)
            found[piece.id.split("-")[0], size.bit_length()] += size
        assert set(found) == set(wanted)
        assert all(abs(found[stratum] - wanted[stratum]) <= 150 for stratum in wanted)  # half of a document


def test_a_document_alone_in_its_source_is_not_matched_by_itself(tmp_path: Path) -> None:
    document = {"split": "train", "bytes": 50, "length": 50, "tokens": [5] * 50}
    rows = [{"row": n, "id": str(n), "source": f"https://{n}.org", **document} for n in range(1000)]
    tokens = stage_of_rows(tmp_path, "pool_tokens", {"a.parquet": rows}, TOKENS)
    pool = TrainingPool(tokens, stage_of_rows(tmp_path, "decontamination", {"a.parquet": []}, LEFT_OUT))
    kept = make_filtered(tmp_path, tokens, lambda row: row["row"] < 100)
    for seed in read_streams(pool, kept, SETTINGS, matched=True).seeds:
        drawn = [int(piece.id) for _, piece in seed.own.keyed()]
        assert len(drawn) == pytest.approx(100, abs=2)
        assert sum(row < 100 for row in drawn) < 30  # of all documents a tenth was kept


def test_a_run_too_short_for_one_matched_document_is_refused(training_pool: TrainingPool, sums: StageFolder) -> None:
    short = TrainingSettings.from_config({**TRAINING, "steps": 1})
    with pytest.raises(ValueError, match=r"the 64 tokens that matched_lm .* too few .* raise training.steps"):
        read_streams(training_pool, sums, short, matched=True)


def test_a_matched_draw_of_a_short_run_keeps_the_mix(training_pool: TrainingPool, sums: StageFolder) -> None:
    for seed in read_streams(training_pool, sums, SETTINGS, matched=True).seeds:
        drawn = [piece.id for _, piece in seed.own.keyed()]
        assert all(name.startswith("sums") for name in drawn)
        assert abs(seed.own.size - SETTINGS.own_rows.sum() * SETTINGS.length) < 300
