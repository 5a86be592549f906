"""A gate that failed stops Dagster too: in the run, in a later one from the UI, at the sensor. Until it is waived."""

from dataclasses import replace

import dagster as dg
import pytest

from datashop_assets.graph import GRAPH
from datashop_assets.orchestration.assets import assets
from datashop_assets.orchestration.gates_first import gate_to_come
from datashop_assets.orchestration.sensor import prompt_sensor
from datashop_assets.protocols.annotator import AnnotationRequest, Answer, Ended, Question
from datashop_assets_tests.annotations.annotators import WordCounter
from datashop_assets_tests.orchestration.workshop import ASSETS, Workshop, materialized

FIRST = ("pretraining_pool", "annotation_sample", "rubric", "annotations")
AFTER = ("training_set", "decontamination", "control_lm", "evaluation_targets")  # only the first reads answers
GATES = ("coverage", "unparsed_share", "both_ends_used", "longest_decile_kept")
FAILED = "coverage: 0 of 20 asked documents have a score (0.0%, at least 95%)"
MOST_RETRIES = "dagster/max_retries"


class Refuses(WordCounter):
    """Refuses everything, in words that a terminal would obey."""

    def _answer(self, one: AnnotationRequest, question: Question) -> Answer:
        return replace(super()._answer(one, question), ended=Ended.REFUSED, raw="I cannot help with \x1b[31mthat")


def write(workshop: Workshop, **sections: object) -> None:
    annotator = {"scoring": "generate", "sample": 40, "documents": 20, "second_round": {"documents": 0}}
    workshop.write("numbers", rubric="Rate this: {example}", annotator=annotator, **sections)


def made(workshop: Workshop) -> list[str]:
    """Steps of which there is a folder."""
    stages = workshop.store.root.stages
    return [name for name in GRAPH.names if stages.child(name).folders()]


def failures(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    found = {}
    for event in result.get_step_failure_events():
        data = event.step_failure_data.user_failure_data
        found[event.step_key] = (data.description or "") if data else ""
    return found


def tick(workshop: Workshop, instance: dg.DagsterInstance, cursor: str | None = None) -> dg.SensorResult:
    resources = {"storage": workshop.store, "annotator": workshop.deployment.annotator}
    with dg.build_sensor_context(instance=instance, cursor=cursor, resources=resources) as context:
        result = prompt_sensor(GRAPH)(context)
    assert isinstance(result, dg.SensorResult)
    return result


def test_a_run_stops_at_the_gate_shows_replies_and_is_not_retried(
    workshop: Workshop, instance: dg.DagsterInstance
) -> None:
    write(workshop)
    result = materialized(workshop, instance, *FIRST, *AFTER, annotator=Refuses())
    assert not result.success
    assert made(workshop) == [*FIRST], "nothing is trained or paid for beside answers that are not fit"
    assert FAILED in failures(result)["decontamination"]
    (check,) = [one for one in result.get_asset_check_evaluations() if one.check_name == "coverage"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    shown = check.metadata["look_at"].value
    assert isinstance(shown, str)
    assert r"I cannot help with \\u001b\[31mthat" in shown
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.tags[MOST_RETRIES] == "0"


def test_a_later_run_from_the_ui_is_refused(workshop: Workshop, instance: dg.DagsterInstance) -> None:
    write(workshop)
    materialized(workshop, instance, *FIRST, annotator=Refuses())
    for name in AFTER:
        result = materialized(workshop, instance, name, annotator=Refuses())
        assert f"{name} of 'numbers' is blocked by annotations: {FAILED}" in failures(result)[name]
        assert r"I cannot help with \u001b[31mthat" in failures(result)[name]
    assert made(workshop) == [*FIRST]


def test_the_sensor_does_not_go_past_it_and_does_when_it_is_waived(
    workshop: Workshop, instance: dg.DagsterInstance
) -> None:
    write(workshop, automatic=True)
    first = tick(workshop, instance)
    assert [run.partition_key for run in first.run_requests or []] == ["numbers"]
    materialized(workshop, instance, *FIRST, annotator=Refuses())
    second = tick(workshop, instance, first.cursor)
    assert not second.run_requests
    assert f"blocked by annotations: {FAILED}" in (second.skip_reason.skip_message or "" if second.skip_reason else "")

    digests = {name: one.digest for name, one in workshop.plan("numbers").items()}
    write(workshop, automatic=True, gates={"waive": dict.fromkeys(GATES, "read by hand")})
    assert {name: one.digest for name, one in workshop.plan("numbers").items()} == digests
    third = tick(workshop, instance, second.cursor)
    (request,) = third.run_requests or []
    asked = [key.to_user_string() for key in request.asset_selection or []]
    assert ("annotations" in asked, "training_set" in asked, "control_lm" in asked) == (False, True, True)


def test_what_a_gate_holds_back_is_reported_by_the_check_usable(
    workshop: Workshop, instance: dg.DagsterInstance
) -> None:
    write(workshop)
    materialized(workshop, instance, *FIRST, annotator=Refuses())
    planned = workshop.plan("numbers")
    events = [one for one in tick(workshop, instance).asset_events if isinstance(one, dg.AssetCheckEvaluation)]
    assert {one.asset_key.to_user_string() for one in events} == set(planned) - set(FIRST)
    (training_set,) = [one for one in events if one.asset_key == dg.AssetKey("training_set")]
    assert (training_set.check_name, training_set.passed) == ("usable", False)
    assert f"numbers: blocked: annotations: {FAILED}" in (training_set.description or "")
    assert "(`gates.waive`)" in (training_set.description or "")


def test_a_waived_gate_warns_with_the_reason(workshop: Workshop, instance: dg.DagsterInstance) -> None:
    write(workshop, gates={"waive": dict.fromkeys(GATES, "a trial")})
    result = materialized(workshop, instance, *FIRST, annotator=Refuses())
    assert result.success
    (check,) = [one for one in result.get_asset_check_evaluations() if one.check_name == "coverage"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert check.metadata["waived"].value == "a trial"
    assert (check.description or "").endswith("waived: a trial")


def test_a_prompt_that_cannot_be_used_is_not_retried(workshop: Workshop, instance: dg.DagsterInstance) -> None:
    write(workshop)
    (workshop.place / "prompts" / "numbers.yaml").unlink()
    result = materialized(workshop, instance, "rubric", annotator=Refuses())
    assert "no such prompt" in failures(result)["rubric"]
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.tags[MOST_RETRIES] == "0"


def test_steps_stand_in_the_order_of_the_graph() -> None:
    """Where several could run, Dagster begins with the highest priority: gates come before what does not need them."""
    priorities = [
        int(asset.op.tags["dagster/priority"])
        for asset in ASSETS
        if isinstance(asset, dg.AssetsDefinition) and asset.key.to_user_string() in GRAPH.names
    ]
    assert priorities == sorted(priorities, reverse=True)
    assert len(set(priorities)) == len(GRAPH.names)


def test_where_steps_run_side_by_side_an_expensive_one_waits_for_the_gates(
    workshop: Workshop, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With priorities turned round this executor starts it first, as one with several processes would."""
    monkeypatch.setattr("datashop_assets.orchestration.assets.priority", lambda name, graph: graph.names.index(name))
    monkeypatch.setattr("datashop_assets.orchestration.gates_first.WAIT", 0.2)
    write(workshop)
    result = materialized(workshop, instance, *FIRST, "evaluation_targets", of=assets(GRAPH), annotator=Refuses())
    events = [(event.step_key, event.event_type_value) for event in result.all_events]
    assert ("evaluation_targets", "STEP_UP_FOR_RETRY") in events
    assert FAILED in failures(result)["evaluation_targets"]
    assert made(workshop) == [*FIRST]


def test_what_a_step_waits_for(workshop: Workshop) -> None:
    write(workshop)
    plan = workshop.plan("numbers")
    selected = ["annotations", "filtered_pool", "control_lm"]
    assert gate_to_come(plan, "control_lm", selected, {}) == "annotations"
    assert gate_to_come(plan, "control_lm", selected, {"annotations": "SUCCESS"}) == "filtered_pool"
    assert gate_to_come(plan, "control_lm", selected, {"annotations": "FAILURE", "filtered_pool": "SUCCESS"}) is None
    assert gate_to_come(plan, "control_lm", ["control_lm"], {}) is None, "alone it waits for nothing"
    assert gate_to_come(plan, "encoder", GRAPH.names, {}) is None, "upstream is Dagster's business"


@pytest.mark.parametrize("name", ["control_lm", "evaluation_targets", "pool_embeddings", "pool_tokens"])
def test_what_is_expensive_and_reads_no_answer_stands_behind_the_gates(name: str) -> None:
    assert GRAPH.names.index("annotations") < GRAPH.names.index(name)
    assert "annotations" not in GRAPH.up_to(name)
