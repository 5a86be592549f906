"""Documents and tokens at every step, and what became of the others: nothing is lost between two steps."""

from itertools import pairwise
from pathlib import Path

import polars as pl

from datashop_assets.data_card.facts import FunnelStep, label_funnel, pool_funnel
from datashop_assets.documents.results import AnnotationSampleResult, PretrainingPoolResult
from datashop_assets.filtered_pool.results import PoolScoresResult
from datashop_assets.trained_lm.results import OwnDocuments, TrainedLMResult, TrainedModels
from datashop_assets.training_documents.results import DrawnDocuments, PoolTokensResult
from datashop_assets.training_set.results import TrainingSetResult
from datashop_assets_tests.data_card.cards import annotations_result, finished, run_of
from datashop_assets_tests.filtered_pool.pools import kept_result
from datashop_assets_tests.stages import writer

ROW = {"id": pl.String, "status": pl.String, "tokens_in": pl.Int64}


def test_the_pool_to_what_the_candidate_reads(tmp_path: Path) -> None:
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
    pool = PretrainingPoolResult(
        files=1,
        heldout_fraction=0.3,
        rows=104,
        documents=100,
        rejected=4,
        rejects={"no text": 4},
        reject_examples=[],
        by_split={},
        by_source={},
    )
    nothing = DrawnDocuments(documents=0, bytes=0, tokens=0, left_out={}, left_out_by_source={})
    results = [
        pool,
        PoolScoresResult(documents=100, positive=0, not_passed=0, histogram=()),
        PoolTokensResult(vocabulary=300, separator="<|endoftext|>", bytes_per_token=4.0, documents=nothing),
        kept_result(documents=100, bytes=3600, kept_documents=10, kept_bytes=380),
        trained,
    ]
    steps = pool_funnel(run_of(tmp_path, *(finished(writer(tmp_path, one.step), one) for one in results)))
    assert nothing_is_lost(steps)
    assert [(step.documents, step.tokens) for step in steps[3:]] == [
        (10, 95),
        (7, None),
        (6, None),
        (5, 60),
        (None, 40),
    ]
    assert [step.lost for step in steps[4:7]] == [{"held out": 3}, {"not drawn": 1}, {"near a held-out document": 1}]


def labels_of(tmp_path: Path, *tokens: int) -> list[FunnelStep]:
    """The funnel where four documents took so many tokens."""
    statuses = ["parsed", "repaired", "refused", "parsed"]
    rows = [
        {"id": f"d{n}", "status": status, "tokens_in": read}
        for n, (status, read) in enumerate(zip(statuses, tokens, strict=True))
    ]
    by_status = {"parsed": 2, "repaired": 1, "refused": 1, "failed": 0}
    labels = [{"id": name} for name in ("d0", "d0", "d3")]  # a rare one stands twice
    sample = AnnotationSampleResult(
        documents=10,
        requested=10,
        available=50,
        heldout=0,
        near_heldout=2,
        repeated=None,
        rejected=0,
        rejects={},
        reject_examples=[],
    )
    training_set = TrainingSetResult(
        annotated=4,
        documents=2,
        positives=1,
        positive_at=0.5,
        positive_share=0.5,
        mean_target=0.4,
        positive_repeat=2,
        left_out={"no label": 1},
        by_source={},
        by_fold=(),
    )
    answers, labelled = writer(tmp_path, "annotations"), writer(tmp_path, "training_set")
    answers.write_rows("one.parquet", rows[:2], ROW)
    answers.write_rows("two.parquet", rows[2:], ROW)
    labelled.write_rows("training_set.parquet", labels, {"id": pl.String})
    run = run_of(
        tmp_path,
        finished(writer(tmp_path, "annotation_sample"), sample),
        finished(answers, annotations_result(asked=4, not_drawn=6, by_status=by_status)),
        finished(labelled, training_set),
    )
    return label_funnel(run)


def test_the_sample_to_the_labels(tmp_path: Path) -> None:
    steps = labels_of(tmp_path, 10, 11, 12, 13)
    assert nothing_is_lost(steps)
    assert [step.tokens for step in steps[2:]] == [10 + 11 + 12 + 13, 10 + 11 + 13, 10 + 13]


def test_tokens_that_a_server_did_not_report_are_no_part_of_a_sum(tmp_path: Path) -> None:
    steps = labels_of(tmp_path, 10, 0, 12, 13)
    assert [step.tokens for step in steps[2:]] == [None, None, 10 + 13]


def nothing_is_lost(steps: list[FunnelStep]) -> bool:
    """Whether each step's documents and those it names as lost are those of the step before."""
    counted = [step for step in steps if step.documents is not None]
    return all(
        before.documents == (after.documents or 0) + sum(after.lost.values()) for before, after in pairwise(counted)
    )
