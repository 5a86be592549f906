"""A stage of which some calls failed: of use, not current, and taken up again by the next run."""

from collections.abc import Callable

import dagster as dg
import pytest
from click.testing import CliRunner

from datashop_assets.cli import main
from datashop_assets.core.build import make_step
from datashop_assets.core.plan import State
from datashop_assets.core.step import Resources
from datashop_assets.graph import GRAPH
from datashop_assets.orchestration.sensor import prompt_sensor
from datashop_assets_tests.annotations.annotators import WordCounter
from datashop_assets_tests.orchestration.workshop import Workshop

STAGES = ("pretraining_pool", "annotation_sample", "rubric", "annotations", "training_set")
ANNOTATOR = {
    "likelihood": {"question": "{example}?", "answer_begins": "It is", "targets": ["mathematics"]},
    "sample": 100,
    "documents": 40,
    "second_round": {"documents": 0},
    "gates": {"blocking": []},
}
Run = Callable[..., WordCounter]


@pytest.fixture
def run(workshop: Workshop) -> Run:
    """Makes the stages up to the training set, with calls that fail about texts with these beginnings."""
    workshop.write("numbers", annotator=ANNOTATOR, automatic=True)

    def make(*fails_on: str) -> WordCounter:
        annotator = WordCounter(fails_on=fails_on)
        planned = workshop.plan("numbers", annotator)
        for name in STAGES:
            make_step(name, planned, Resources(annotator=annotator))
        return annotator

    return make


def states(workshop: Workshop) -> list[str]:
    return [workshop.plan("numbers")[name].state for name in STAGES[-2:]]


def test_failed_calls_leave_a_stage_incomplete_and_the_next_run_asks_about_them(workshop: Workshop, run: Run) -> None:
    first = run("Text number 1")
    assert states(workshop) == [State.INCOMPLETE, State.CURRENT]
    shown = workshop.deployment.status(["numbers"]).prompts["numbers"]["annotations"]
    failed = shown.failed_calls
    assert (shown.state, len(first.requests)) == (State.INCOMPLETE, 40)
    assert 0 < failed < 40
    assert set(STAGES[-2:]) <= set(workshop.to_do("numbers"))  # the training set may become another

    second = run()
    assert len(second.requests) == failed
    assert states(workshop) == [State.CURRENT, State.CURRENT]
    made = workshop.plan("numbers")["training_set"].output.manifest
    assert made.metrics["documents"] == 40
    assert len(run().requests) == 0


def test_the_terminal_says_how_many_calls_failed(workshop: Workshop, run: Run) -> None:
    run("Text number 1")
    failed = workshop.plan("numbers")["annotations"].failed_calls
    shown = CliRunner().invoke(main, ["status"], env=workshop.environment)
    assert f"incomplete: {failed} failed" in shown.output


def test_what_was_made_from_other_content_is_stale(workshop: Workshop, run: Run) -> None:
    run("Text number 1")
    before = workshop.plan("numbers")
    make_step("annotations", before, Resources(annotator=WordCounter()))
    after = workshop.plan("numbers")
    assert states(workshop) == [State.CURRENT, State.STALE]
    assert list(after["training_set"].changed) == ["annotations"]
    assert after["training_set"].digest == before["training_set"].digest


def test_calls_that_fail_again_change_nothing_downstream(workshop: Workshop, run: Run) -> None:
    run("Text number 1")
    made = workshop.plan("numbers")["training_set"].output.manifest
    run("Text number 1")
    assert states(workshop) == [State.INCOMPLETE, State.CURRENT]
    assert workshop.plan("numbers")["training_set"].output.manifest == made


def test_the_sensor_asks_once_and_not_for_ever(workshop: Workshop, run: Run) -> None:
    run("Text number 1")
    keys, cursor = set(), None
    resources = {"storage": workshop.store, "annotator": workshop.deployment.annotator}
    with dg.instance_for_test() as instance:
        for _ in range(3):
            context = dg.build_sensor_context(instance, cursor=cursor, resources=resources)
            result = prompt_sensor(GRAPH)(context)
            assert isinstance(result, dg.SensorResult)
            keys |= {request.run_key for request in result.run_requests or ()}
            cursor = result.cursor
    assert len(keys) == 1  # Dagster starts a run key once
