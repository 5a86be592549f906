"""Real models compared where there is a difference. Where there is none: `acceptance/test_demo.py`."""

import polars as pl
import pytest

from datashop_assets.evaluation.build import LOSSES, REPORT
from datashop_assets.evaluation.describe import describe
from datashop_assets.evaluation.measures import COMPARISON
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
    assert len(losses) == 3 * TRAINING["seeds"] * losses["id"].n_unique()


def test_every_source_of_every_kind_has_a_line_against_each_control(evaluation: StageFolder) -> None:
    lines = evaluation.table(COMPARISON).select("kind", "source", "primary").rows()
    places = [("target", ""), ("target", "sums"), ("general", ""), ("general", "sentences")]
    assert [line[:2] for line in lines] == places * 2
    assert [line[2] for line in lines] == [True] + [False] * 7


def test_the_rubric_gives_nothing_where_the_source_says_it_all(evaluation: StageFolder) -> None:
    """The filter keeps all sums; a draw from the same source reads as good ones."""
    found = evaluation.metrics
    assert found["matched_target_verdict"] == "not distinguishable"
    assert found["matched_target_bpb_difference_low"] < 0 < found["matched_target_bpb_difference_high"]


def test_secondary_verdicts_go_by_corrected_p(evaluation: StageFolder) -> None:
    for row in evaluation.table(COMPARISON).rows(named=True):
        if row["primary"]:
            assert row["p_corrected"] is None
        else:
            assert row["p"] <= row["p_corrected"] <= 1
            assert (row["p_corrected"] <= 0.05) == (row["verdict"] in {"better", "worse"})


def test_the_report_says_what_it_is_conditional_on(evaluation: StageFolder) -> None:
    text = evaluation.file(REPORT).read_text()
    assert "The candidate is better than the plain control" in text
    assert "The candidate is not distinguishable from the matched control" in text
    assert "over 4 seeds (primary measure)" in text
    assert "conditional on this annotator, this encoder and this filtered pool" in text
    assert f"went {evaluation.metrics['filtered_epochs']:.2f} times through" in text
    assert "floating-point operations" in text
    assert "This is circular" in text
    assert set(describe(evaluation)) == {"comparison", "report"}
