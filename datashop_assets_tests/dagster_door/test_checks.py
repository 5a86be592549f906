"""What the checks of the rooms say of good and of bad stages."""

from collections.abc import Sequence

import dagster as dg
import polars as pl
import pytest

from datashop_assets.annotations.checks import coverage, unparsed_share
from datashop_assets.encoder.checks import judged
from datashop_assets_tests.dagster_door.workshop import Workshop

SCHEMA = {"status": pl.String, "expected_score": pl.Float64}


def checked(workshop: Workshop, check: dg.AssetChecksDefinition, statuses: Sequence[str]) -> dg.AssetCheckEvaluation:
    """The check, executed by itself on annotations that ended in these ways."""
    rows = [{"status": status, "expected_score": 3.0 if status == "parsed" else None} for status in statuses]
    workshop.write("numbers")
    workshop.put("numbers", "annotations", round1=(rows, SCHEMA))
    result = dg.materialize(
        [dg.AssetSpec("annotations"), check],
        selection=dg.AssetSelection.checks(check),
        resources={"prompts": workshop.store},
        raise_on_error=False,  # a blocking check that fails fails its step
    )
    (found,) = result.get_asset_check_evaluations()
    return found


@pytest.mark.parametrize(("bad", "passes"), [(5, True), (6, False)])
def test_coverage_wants_a_score_for_95_in_100(workshop: Workshop, bad: int, passes: bool) -> None:
    result = checked(workshop, coverage, ["failed"] * bad + ["parsed"] * (100 - bad))
    assert result.passed is passes
    assert f"numbers: {100 - bad} of 100 asked documents have a score" in (result.description or "")
    assert result.severity is dg.AssetCheckSeverity.ERROR


@pytest.mark.parametrize(("bad", "passes"), [(10, True), (11, False)])
def test_at_most_10_in_100_replies_may_hold_no_score(workshop: Workshop, bad: int, passes: bool) -> None:
    result = checked(workshop, unparsed_share, ["unparsed"] * bad + ["parsed"] * (100 - bad))
    assert result.passed is passes
    assert f"numbers: {bad} of 100 replies hold no score" in (result.description or "")


def test_what_must_not_be_built_upon_stops_the_run() -> None:
    from datashop_assets.definitions import CHECKS

    blocking = {spec.name for check in CHECKS for spec in check.check_specs if spec.blocking}
    assert blocking == {"coverage", "unparsed_share", "pool_fully_scored", "keep_count_exact"}


@pytest.mark.parametrize(
    ("auc", "low", "passes", "severity"),
    [
        (0.95, 0.90, True, dg.AssetCheckSeverity.WARN),
        (0.85, 0.80, False, dg.AssetCheckSeverity.WARN),
        (0.81, 0.75, False, dg.AssetCheckSeverity.ERROR),
    ],
)
def test_an_encoder_is_held_against_the_better_baseline(
    auc: float, low: float, passes: bool, severity: dg.AssetCheckSeverity
) -> None:
    result = judged({"auc": auc, "auc_low": low, "length_auc": 0.70, "source_auc": 0.82})
    assert (result.passed, result.severity) == (passes, severity)
    assert "source alone reaches 0.820" in (result.description or "")
