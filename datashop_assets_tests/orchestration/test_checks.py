"""What the steps' checks say of good and of bad outputs."""

from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest

from datashop_assets.annotations.gates import GATES
from datashop_assets.annotations.results import AnnotatorReportResult, NoAgreement, ScoreSummary
from datashop_assets.annotations.steps import gate_check
from datashop_assets.core.step import CheckContext, CheckResult
from datashop_assets.encoder.checks import against_baselines, against_ceiling, calibration_within, within_sources
from datashop_assets.encoder.results import Ceiling, EncoderReport, ScoreFigures, Summary, SummaryBySource
from datashop_assets.graph import GRAPH
from datashop_assets.prompts.annotator_settings import Gate
from datashop_assets.prompts.settings import GATE_NAMES
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
    assert result.sample is not None
    shown = result.sample.markdown()
    assert len(shown.splitlines()) == 2 + 5
    assert r"| &lt;b&gt;no&lt;/b&gt; \| score | made | \[text\]\(x\) |" in shown


def test_a_gate_that_does_not_block_for_this_way_of_scoring_warns(workshop: Workshop) -> None:
    result = checked(workshop, "spread_within_sources", ["parsed"] * 40)
    assert (result.passed, result.blocks, result.severity) == (False, False, "warning")


def test_what_must_not_be_built_upon_stops_the_run() -> None:
    blocking = {check.name for step in GRAPH for check in step.checks if check.blocking}
    assert blocking == {*GATES, "named_documents_readable", "pool_fully_scored", "keep_count_exact"} == {*GATE_NAMES}, (
        "a prompt may waive each"
    )


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


def comparison(within: dict[str, Figure | None]) -> SummaryBySource:
    """AUC .816 over all documents, and within each source; None where it has too few labels."""

    def summary(auc: Figure | None) -> Summary:
        if auc is None:
            return Summary(documents=4, positives=1, note="too few")
        names = ("average_precision", "f1", "macro_f1", "precision", "recall", "precision_at_share", "brier")
        return Summary(documents=90, positives=40, figures=ScoreFigures(auc=auc, **dict.fromkeys(names, auc)))

    everything = summary(Figure(value=0.816, low=0.77, high=0.86))
    return SummaryBySource(all=everything, within={name: summary(auc) for name, auc in within.items()})


def encoder_report_of(within: dict[str, Figure | None], gold: SummaryBySource | None = None) -> EncoderReport:
    return EncoderReport(
        labels=comparison(within), gold=gold, annotator=None, cascade=None, false_positives=(), false_negatives=()
    )


def test_a_source_at_chance_is_named_with_its_figure_and_that_of_all() -> None:
    chance = Figure(value=0.444, low=0.34, high=0.55)
    result = within_sources(encoder_report_of({"web": figure(0.9), "forum": chance, "few": None}))
    assert (result.passed, result.severity) == (False, "warning")
    assert "within forum the AUC on labels it has not seen is 0.444 (0.340 to 0.550)" in result.description
    assert "over all sources it is 0.816 (0.770 to 0.860)" in result.description
    assert result.figures == {"forum, labels it has not seen": 0.444}
    on_gold = within_sources(encoder_report_of({"web": figure(0.9)}, comparison({"forum": chance})))
    assert "within forum the AUC on held-out gold is 0.444" in on_gold.description


@pytest.mark.parametrize("auc", [Figure(value=0.6, low=0.2, high=0.95), figure(0.7)])
def test_a_source_with_few_labels_or_better_than_chance_is_not_named(auc: Figure) -> None:
    assert within_sources(encoder_report_of({"web": figure(0.9), "forum": auc})).passed


def test_a_source_whose_scores_are_off_on_the_whole_is_named() -> None:
    biases = {"web": (0.04, 9000), "forum": (-0.12, 90), "few": (-0.3, 20)}
    within = {
        name: Summary(documents=documents, positives=9, bias=figure(bias, 3 / documents))
        for name, (bias, documents) in biases.items()
    }
    report = encoder_report_of({})
    found = calibration_within(
        report.model_copy(update={"labels": SummaryBySource(all=report.labels.all, within=within)})
    )
    assert not found.passed
    assert found.description == "within forum scores are -0.120 (-0.153 to -0.087) off, by 90 labels"


def test_of_many_sources_one_that_is_barely_off_is_no_alarm() -> None:
    """Of 40 good sources two have an interval of 95% that leaves out 0."""
    off = Figure(value=0.06, low=0.001, high=0.119)
    within = {f"source {n}": Summary(documents=90, positives=9, bias=off if n < 2 else figure(0.0)) for n in range(40)}
    report = encoder_report_of({})
    labels = SummaryBySource(all=report.labels.all, within=within)
    assert calibration_within(report.model_copy(update={"labels": labels})).passed


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
    (check,) = [one for one in step.checks if one.name == "beneath_the_ceiling"]
    found = check.evaluate(CheckContext(planned.prompt, planned["encoder"].output, others))
    assert found.passed
    return found.description


def test_the_ceiling_stands_beside_the_encoder_and_says_where_it_is_not_known(workshop: Workshop) -> None:
    assert "annotator_report is not made yet" in against_the_report(workshop)
    said = against_the_report(workshop, "annotator_report")
    assert "the encoder 0.700 (0.600 to 0.800) on unseen labels; the annotator with itself: not asked: x." in said
