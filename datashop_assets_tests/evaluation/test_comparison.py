"""Real models compared where there is a difference. Where there is none: `acceptance/test_demo.py`."""

import polars as pl
import pytest

from datashop_assets.evaluation.build import COMPARISON, LOSSES, REPORT
from datashop_assets.evaluation.describe import describe
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets_tests.small_lm import TRAINING


def test_a_candidate_that_read_more_of_the_target_is_better(evaluation: StageFolder) -> None:
    found = evaluation.metrics
    assert found["verdict"] == "better"
    assert found["target_bpb_difference_low"] < found["target_bpb_difference"] < found["target_bpb_difference_high"] < 0
    difference = found["trained_target_bpb"] - found["control_target_bpb"]
    assert found["target_bpb_difference"] == pytest.approx(difference)


def test_the_figures_follow_from_the_losses_by_document(evaluation: StageFolder) -> None:
    losses = evaluation.table(LOSSES)
    totals = losses.filter(kind="target").group_by("model", "seed").agg(pl.col("bits").sum() / pl.col("bytes").sum())
    means = dict(totals.group_by("model").agg(pl.col("bits").mean()).iter_rows())
    assert means["control"] == pytest.approx(evaluation.metrics["control_target_bpb"])
    assert means["trained"] == pytest.approx(evaluation.metrics["trained_target_bpb"])
    assert len(losses) == 2 * TRAINING["seeds"] * losses["id"].n_unique()


def test_every_source_of_every_kind_has_a_line(evaluation: StageFolder) -> None:
    lines = evaluation.table(COMPARISON).select("kind", "source").rows()
    assert lines == [("target", ""), ("target", "sums"), ("general", ""), ("general", "sentences")]


def test_the_report_says_what_it_is_conditional_on(evaluation: StageFolder) -> None:
    text = evaluation.file(REPORT).read_text()
    assert "The candidate is better" in text
    assert "over 4 seeds" in text
    assert "conditional on this annotator, this encoder and this filtered pool" in text
    assert f"went {evaluation.metrics['filtered_epochs']:.2f} times through" in text
    assert "The mix of sources is part of the effect" in text
    assert "This is circular" in text
    assert set(describe(evaluation)) == {"comparison", "report"}
