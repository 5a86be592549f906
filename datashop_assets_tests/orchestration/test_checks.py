"""What the steps' checks say of good and of bad outputs."""

from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest

from datashop_assets.annotations.gates import GATES
from datashop_assets.annotations.results import AnnotatorReportResult, NoAgreement, ScoreSummary
from datashop_assets.annotations.steps import gate_check
from datashop_assets.core.checks import check_output
from datashop_assets.core.step import CheckContext, CheckResult
from datashop_assets.encoder.checks import against_baselines, against_ceiling
from datashop_assets.encoder.results import Ceiling
from datashop_assets.graph import GRAPH
from datashop_assets.prompts.annotator_settings import Gate
from datashop_assets.statistics.figure import Figure
from datashop_assets_tests.encoder.made import encoder_result
from datashop_assets_tests.orchestration.workshop import Workshop

SCHEMA = {
    **dict.fromkeys(("id", "source", "status", "reason", "text", "raw"), pl.String),
    "characters": pl.Int64,
    "expected_score": pl.Float64,
}


def checked(workshop: Workshop, gate: Gate, statuses: Sequence[str], **scored: Any) -> CheckResult:
    """The check, of annotations that ended in these ways."""
    rows = [_row(place, status, **scored) for place, status in enumerate(statuses)]
    workshop.write("numbers")
    workshop.put("numbers", "annotations", round1=(rows, SCHEMA))
    planned = workshop.plan("numbers")
    return gate_check(gate).evaluate(CheckContext(planned.prompt, planned["annotations"].output, {}))


def _row(place: int, status: str, score: float = 3.0) -> dict[str, Any]:
    said = {"id": f"d{place}", "source": "made", "reason": "<b>no</b> | score", "text": "[text](x)", "raw": ""}
    return {**said, "status": status, "characters": place, "expected_score": score if status == "parsed" else None}


@pytest.mark.parametrize(("bad", "passes"), [(5, True), (6, False)])
def test_coverage_wants_a_score_for_95_in_100(workshop: Workshop, bad: int, passes: bool) -> None:
    result = checked(workshop, "coverage", ["failed"] * bad + ["parsed"] * (100 - bad))
    assert result.passed is passes
    assert f"{100 - bad} of 100 asked documents have a score" in result.description
    assert result.blocks


@pytest.mark.parametrize(("bad", "passes"), [(10, True), (11, False)])
def test_at_most_10_in_100_replies_may_hold_no_score(workshop: Workshop, bad: int, passes: bool) -> None:
    result = checked(workshop, "unparsed_share", ["unparsed"] * bad + ["parsed"] * (100 - bad))
    assert result.passed is passes
    assert f"{bad} of 100 replies hold no score" in result.description


def test_a_gate_that_fails_shows_documents_as_data(workshop: Workshop) -> None:
    result = checked(workshop, "coverage", ["unparsed"] * 50 + ["parsed"] * 50)
    assert len(result.sample.splitlines()) == 2 + 5
    assert r"\[text\]\(x\) | &lt;b&gt;no&lt;/b&gt; \| score |" in result.sample


def test_a_gate_that_does_not_block_for_this_way_of_scoring_warns(workshop: Workshop) -> None:
    result = checked(workshop, "spread_within_sources", ["parsed"] * 40)
    assert (result.passed, result.blocks, result.severity) == (False, False, "warning")


def test_what_must_not_be_built_upon_stops_the_run() -> None:
    blocking = {check.name for step in GRAPH for check in step.checks if check.blocking}
    assert blocking == {*GATES, "pool_fully_scored", "keep_count_exact"}


@pytest.mark.parametrize(
    ("auc", "low", "passes", "severity"),
    [
        (0.95, 0.90, True, "warning"),
        (0.85, 0.80, False, "warning"),
        (0.81, 0.75, False, "error"),
    ],
)
def test_an_encoder_is_held_against_the_better_baseline(auc: float, low: float, passes: bool, severity: str) -> None:
    result = against_baselines(Figure(value=auc, low=low, high=1.0), {"length": 0.70, "source": 0.82})
    assert (result.passed, result.severity) == (passes, severity)
    assert "source alone reaches 0.820" in result.description


def figure(value: float, spread: float = 0.05) -> Figure:
    return Figure(value=value, low=value - spread, high=value + spread)


@pytest.mark.parametrize(("encoder", "passes"), [(0.6, True), (0.87, True), (0.99, False)])
def test_an_encoder_surely_above_what_the_annotators_noise_allows_is_a_warning(encoder: float, passes: bool) -> None:
    result = against_ceiling(Ceiling(figure(encoder), figure(0.64), "50 documents asked twice"))
    assert (result.passed, result.severity) == (passes, "warning")
    assert "0.640 (0.590 to 0.690) on 50 documents asked twice; 0.800 is the most" in result.description


def against_the_report(workshop: Workshop, *made: str) -> str:
    workshop.write("numbers")
    workshop.put("numbers", "encoder", encoder_result(spearman=figure(0.7, 0.1)).model_dump(mode="json"))
    scores = ScoreSummary(documents=0, scored=0, mean=None, quartiles=None)
    report = AnnotatorReportResult(
        scores=scores,
        by_length=[],
        by_source=[],
        self_agreement=NoAgreement(documents=0, note="not asked: x"),
        second_annotator=None,
    )
    for stage in made:
        workshop.put("numbers", stage, report.model_dump(mode="json"))
    planned = workshop.plan("numbers")
    others = {stage: planned[stage].output for stage in made}
    step = planned["encoder"].step
    found = check_output(step, planned["encoder"].output, planned.prompt, planned.root, others)["beneath_the_ceiling"]
    assert found.passed
    return found.description


def test_the_ceiling_stands_beside_the_encoder_and_says_where_it_is_not_known(workshop: Workshop) -> None:
    assert "annotator_report is not made yet" in against_the_report(workshop)
    said = against_the_report(workshop, "annotator_report")
    assert "the encoder 0.700 (0.600 to 0.800) on unseen labels; the annotator with itself: not asked: x." in said
