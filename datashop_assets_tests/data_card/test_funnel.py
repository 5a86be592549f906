"""Documents and tokens at every step, and what became of the others: nothing is lost between two steps."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl

from datashop_assets.data_card.funnel import Step, label_funnel, pool_funnel
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.trained_lm.results import OwnDocuments, TrainedLMResult, TrainedModels
from datashop_assets.training_documents.results import DrawnDocuments
from datashop_assets_tests.stages import finish, writer

ROW = {"id": pl.String, "status": pl.String, "tokens_in": pl.Int64}


def stage(place: Path, name: str, metrics: dict[str, Any], **shards: Any) -> StageFolder:
    output = writer(place, name)
    for shard, (rows, schema) in shards.items():
        output.write_rows(f"{shard}.parquet", rows, schema)
    return finish(output, name, metrics, {})


def test_the_pool_to_what_the_candidate_reads(tmp_path: Path) -> None:
    kept = {"documents": 100, "bytes": 3600, "kept_documents": 10, "kept_bytes": 380}
    models = TrainedModels(seeds=2, length=8, parameters=7, tokens=80, training_flops=1, final_loss=[1.0, 2.0])
    checked = DrawnDocuments(
        documents=5, bytes=240, tokens=60, left_out={"near a held-out document": 1}, left_out_by_source={"web": 1}
    )
    trained = TrainedLMResult(
        models=models,
        own=OwnDocuments(checked=checked, tokens_read=40, tokens_held=[41, 44], epochs=0.5),
        kept_documents=7,
        kept_tokens=77,
        training_seconds=1.0,
        tokens_per_second=80,
    )
    inputs = {
        "pretraining_pool": stage(tmp_path, "pool", {"rows": 104, "documents": 100, "rejects": {"empty": 4}}),
        "pool_scores": stage(tmp_path, "scores", {"documents": 100}),
        "pool_tokens": stage(tmp_path, "tokens", {"bytes_per_token": 4.0}),
        "filtered_pool": stage(tmp_path, "kept", kept),
        "trained_lm": stage(tmp_path, "lm", trained.model_dump(mode="json")),
    }
    steps = pool_funnel(inputs)
    assert nothing_is_lost(steps)
    assert [(step.documents, step.tokens) for step in steps[3:]] == [
        (10, 95),
        (7, None),
        (6, None),
        (5, 60),
        (None, 40),
    ]
    assert [step.lost for step in steps[4:7]] == [{"held out": 3}, {"not drawn": 1}, {"near a held-out document": 1}]


def test_the_sample_to_the_labels(tmp_path: Path) -> None:
    statuses = ["parsed", "repaired", "refused", "parsed"]
    rows = [{"id": f"d{n}", "status": status, "tokens_in": 10 + n} for n, status in enumerate(statuses)]
    answers = {"asked": 4, "not_drawn": 6, "by_status": {"parsed": 2, "repaired": 1, "refused": 1, "failed": 0}}
    labels = [{"id": name} for name in ("d0", "d0", "d3")]  # a rare one stands twice
    inputs = {
        "annotation_sample": stage(tmp_path, "sample", {"available": 50, "documents": 10, "near_heldout": 2}),
        "annotations": stage(tmp_path, "answers", answers, one=(rows[:2], ROW), two=(rows[2:], ROW)),
        "training_set": stage(
            tmp_path,
            "labels",
            {"documents": 2, "left_out": {"no label": 1}},
            training_set=(labels, {"id": pl.String}),
        ),
    }
    steps = label_funnel(inputs)
    assert nothing_is_lost(steps)
    assert [step.tokens for step in steps[2:]] == [10 + 11 + 12 + 13, 10 + 11 + 13, 10 + 13]


def nothing_is_lost(steps: list[Step]) -> bool:
    """Whether each step's documents and those it names as lost are those of the step before."""
    counted = [step for step in steps if step.documents is not None]
    return all(
        before.documents == (after.documents or 0) + sum(after.lost.values()) for before, after in pairwise(counted)
    )
