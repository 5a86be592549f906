"""What a declaration says of a result by the names of its fields is true of the result."""

import pytest

from datashop_assets.core.step import StepResult
from datashop_assets.graph import GRAPH

RESULTS = [step.result for step in GRAPH]


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: result.step)
def test_headlines_and_what_is_volatile_are_fields_of_the_result(result: type[StepResult]) -> None:
    named = {path.partition(".")[0] for path in result.headlines} | result.volatile
    assert named <= set(result.model_fields), result.step


def test_status_has_a_headline_for_labels_model_pool_its_test_and_verdict() -> None:
    assert {result.step for result in RESULTS if result.headlines} == {
        *("annotations", "encoder", "filtered_pool", "blind_test", "evaluation", "sensitivity")
    }
