"""Real models compared where there is a difference. Where there is none: `acceptance/test_demo.py`."""

from pathlib import Path

import polars as pl
import pytest

from datashop_assets.core.step import StepOutput
from datashop_assets.evaluation.results import (
    LOSSES,
    REPORT,
    Against,
    EvaluationConfig,
    EvaluationResult,
    Kind,
    Measure,
    read_measures,
)
from datashop_assets.evaluation.steps import evaluation
from datashop_assets.prompts.settings import Primary
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets_tests.small_lm import TRAINING, TokenizedPool
from datashop_assets_tests.stages import run_step


def test_a_candidate_that_read_more_of_the_target_is_better(evaluated: StepOutput[EvaluationResult]) -> None:
    assert evaluated.result.verdict == "better"
    found = of(evaluated, "control")
    assert found.primary
    assert found.difference.low is not None
    assert found.difference.high is not None
    assert found.difference.low < found.difference.value < found.difference.high < 0
    assert found.difference.value == pytest.approx(found.trained - found.control)


def of(evaluated: StepOutput[EvaluationResult], against: Against) -> Measure:
    """The measure on target documents."""
    found = evaluated.result.measure(against, Kind.TARGET)
    assert found is not None
    return found


def test_the_figures_follow_from_the_losses_by_document(evaluated: StepOutput[EvaluationResult]) -> None:
    losses = evaluated.table(LOSSES)
    totals = losses.filter(kind="target").group_by("model", "seed").agg(pl.col("bits").sum() / pl.col("bytes").sum())
    means = dict(totals.group_by("model").agg(pl.col("bits").mean()).iter_rows())
    assert means["control"] == pytest.approx(of(evaluated, "control").control)
    assert means["trained"] == pytest.approx(of(evaluated, "control").trained)
    assert len(losses) == 3 * TRAINING["seeds"] * losses["id"].n_unique()


def test_each_kind_has_a_line_against_each_control_and_one_source_no_second(
    evaluated: StepOutput[EvaluationResult],
) -> None:
    lines = [(one.against, one.kind, one.source, one.primary) for one in read_measures(evaluated)]
    assert lines == [
        ("control", "target", "", True),
        ("control", "general", "", False),
        ("matched", "target", "", False),
        ("matched", "general", "", False),
    ]


def test_the_rubric_gives_nothing_where_the_source_says_it_all(evaluated: StepOutput[EvaluationResult]) -> None:
    """The filter keeps all sums; a draw from the same source reads as good ones."""
    found = of(evaluated, "matched")
    assert found.verdict == "not distinguishable"
    assert found.difference.low is not None
    assert found.difference.high is not None
    assert found.difference.low < 0 < found.difference.high


def test_secondary_verdicts_go_by_corrected_p(evaluated: StepOutput[EvaluationResult]) -> None:
    for one in read_measures(evaluated):
        if one.primary:
            assert one.p_corrected is None
        else:
            assert one.p is not None
            assert one.p_corrected is not None
            assert one.p <= one.p_corrected <= 1
            assert (one.p_corrected <= 0.05) == (one.verdict in {"better", "worse"})


def test_the_report_says_what_it_is_conditional_on(evaluated: StepOutput[EvaluationResult]) -> None:
    text = evaluated.file(REPORT).read_text()
    assert "The candidate is better than the plain control" in text
    assert "The candidate is not distinguishable from the matched control" in text
    assert "over 4 seeds (primary measure)" in text
    assert "conditional on this annotator, this encoder and this filtered pool" in text
    assert f"went {evaluated.result.filtered_epochs:.2f} times through" in text
    assert "floating-point operations" in text
    assert "This is circular" in text
    assert set(evaluation.describe(evaluated)) == {"comparison", "report"}


def test_few_and_circular_targets_are_said_beside_the_verdict(evaluated: StepOutput[EvaluationResult]) -> None:
    documents, result = of(evaluated, "control").documents, evaluated.result
    headline = evaluated.file(REPORT).read_text().split("\n")[0]
    assert f"bits per byte on {documents} held-out target documents" in headline
    assert result.reservations == (
        f"judged on {documents} documents, which are few",
        "circular, because the annotator chose these documents itself",
    )
    assert all(one in headline for one in result.reservations)
    given = result.model_copy(update={"targets_from": "given"})
    many = [one.model_copy(update={"documents": 100}) for one in result.measures]
    assert len(given.reservations) == 1
    assert given.model_copy(update={"measures": many}).reservations == ()


def test_without_a_matched_control_the_mix_is_said_to_be_part_of_the_effect(
    evaluated: StepOutput[EvaluationResult],
    models: list[StageFolder],
    tokenized: TokenizedPool,
    targets: StageFolder,
    tmp_path: Path,
) -> None:
    control, _, candidate = models
    config = EvaluationConfig(primary=Primary(documents="target", against="control"))
    alone = run_step(evaluation, tmp_path, config, [control, candidate, tokenized.tokens, targets])
    assert alone.result.measure("matched", Kind.TARGET) is None
    assert of(alone, "control").difference == of(evaluated, "control").difference
    assert alone.result.matched_epochs is None
    assert "no matched control was asked for" in alone.file(REPORT).read_text()
