"""Which held-out documents the comparison is measured on."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from datashop_assets.core.step import Resources, StepOutput
from datashop_assets.costs import tokens_said
from datashop_assets.documents.pool import pool_shards, read_index, read_pool
from datashop_assets.documents.sources import DocumentSource
from datashop_assets.evaluation import targets as module
from datashop_assets.evaluation.results import TARGETS, EvaluationTargetsResult
from datashop_assets.evaluation.steps import evaluation_targets
from datashop_assets.prompts.settings import Data
from datashop_assets.protocols.annotator import AnnotationRequest, Answer, Question
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets_tests.evaluation.conftest import BY_ANNOTATOR, CountsPluses
from datashop_assets_tests.stages import run_step


def choose(root: Path, pool: StageFolder, **changes: Any) -> StepOutput[EvaluationTargetsResult]:
    config = BY_ANNOTATOR.model_copy(update={"annotator": None, **changes})
    return run_step(evaluation_targets, root, config, [pool])


def of_split(pool: StageFolder, *splits: str) -> dict[str, str]:
    """Id -> source."""
    rows = [row for shard in pool_shards(pool) for row in read_index(pool, shard)]
    return {row["id"]: row["source"] for row in rows if row["split"] in splits}


def test_the_annotator_chooses_among_held_out_documents(
    pool: StageFolder, targets: StepOutput[EvaluationTargetsResult]
) -> None:
    heldout = of_split(pool, "heldout")
    for row in targets.rows(TARGETS):
        assert heldout[row["id"]] == row["source"]
        assert row["kind"] == ("target" if row["source"] == "sums" else "general")
    assert targets.result.targets_from == "annotator"
    assert targets.result.asked == 120
    assert targets.result.without_score == 0


class WithoutUsage(CountsPluses):
    """Its server does not say what it read, and the first call about each document fails under way."""

    def answer(self, asked: Iterable[AnnotationRequest], question: Question) -> Iterator[Answer]:
        for one in asked:
            assert one.meter is not None
            assert one.meter.lost(one)
            yield from (replace(answer, tokens_in=0, tokens_out=0) for answer in super().answer([one], question))


def test_what_asking_took_is_said_with_what_is_estimated_of_it(
    pool: StageFolder, targets: StepOutput[EvaluationTargetsResult], tmp_path: Path
) -> None:
    assert targets.result.tokens_spent() == 120 * 2
    assert tokens_said(targets) == {"tokens": "240 tokens, as servers report them."}
    resources = Resources(annotator=WithoutUsage())
    made = run_step(evaluation_targets, tmp_path, BY_ANNOTATOR, [pool], resources=resources)
    spent = made.result.spent
    assert spent is not None
    assert (spent.reported, spent.without_usage) == (0, 120)
    assert spent.estimated > 120
    assert spent.lost > 120
    assert made.result.tokens_spent() == spent.estimated + spent.lost
    assert "120 answers are of a server that reports none" in tokens_said(made)["tokens"]
    assert f"took up to {spent.lost:,} tokens more" in tokens_said(made)["tokens"]
    assert made.content(TARGETS) == targets.content(TARGETS)


def test_gold_labels_choose_among_held_out_documents(
    pool: StageFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = of_split(pool, "train", "heldout", "near_heldout")
    monkeypatch.setattr(module, "load_gold", lambda cache, data, uri: labels)
    chosen = choose(tmp_path, pool, gold=("sums",), target_documents=10, general_documents=15)
    rows = list(chosen.rows(TARGETS))
    texts = {one.id: one.text for shard in pool_shards(pool) for _, one in read_pool(pool, shard)}
    assert all(row["text"] == texts[row["id"]] for row in rows)
    assert [(row["kind"], row["source"]) for row in rows] == [("target", "sums")] * 10 + [("general", "sentences")] * 15
    assert {row["id"] for row in rows} <= of_split(pool, "heldout").keys()
    assert "10" in evaluation_targets.describe(chosen)["documents by kind and source"]


def test_named_documents_are_used_unless_the_pool_trains_on_them(pool: StageFolder, tmp_path: Path) -> None:
    train = of_split(pool, "train")
    copied = next(one.text for shard in pool_shards(pool) for _, one in read_pool(pool, shard) if one.id in train)
    rows = [{"id": "new", "text": "4 + 4 = 8", "source": "mine"}, {"id": "copy", "text": copied}, {"id": "none"}]
    (tmp_path / "mine.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    named = DocumentSource.of(Data(uri=str(tmp_path / "mine.jsonl")))
    chosen = choose(tmp_path, pool, targets=named)
    targets = [row for row in chosen.rows(TARGETS) if row["kind"] == "target"]
    assert [(row["id"], row["text"], row["shard"]) for row in targets] == [("new", "4 + 4 = 8", None)]
    assert (chosen.result.in_training_part, chosen.result.targets_rejected) == (1, 1)
    assert chosen.result.general_documents == 60


def test_gold_labels_of_a_pool_that_has_none_are_refused(pool: StageFolder, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'my.jsonl' has no gold labels; name documents in evaluation.targets"):
        choose(tmp_path, pool, gold=("sums",), gold_uri="my.jsonl")


def test_no_target_document_at_all_is_refused(
    pool: StageFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "load_gold", lambda cache, data, uri: {"elsewhere": "songs"})
    with pytest.raises(ValueError, match=r"no target document to compare on .*; correct evaluation.targets or"):
        choose(tmp_path, pool, gold=("songs",))
