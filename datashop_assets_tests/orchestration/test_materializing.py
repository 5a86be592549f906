"""Assets as Dagster runs them: real stages over a small pool, what the UI is told, and what goes wrong."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from datashop_assets.graph import GRAPH
from datashop_assets.orchestration.assets import assets
from datashop_assets_tests.orchestration.workshop import LIKELIHOOD, Workshop, materialized


class Failing:
    """Compute that fails whatever it is asked."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def map(self, function: object, items: object) -> Iterator[Any]:
        raise self.error


FIRST = ("pretraining_pool", "annotation_sample", "rubric")


def materialization(result: dg.ExecuteInProcessResult, name: str) -> dg.AssetMaterialization:
    (event,) = result.asset_materializations_for_node(name)
    return event


def check(result: dg.ExecuteInProcessResult, asset: str, name: str) -> dg.AssetCheckEvaluation:
    (found,) = [
        each
        for each in result.get_asset_check_evaluations()
        if (each.asset_key, each.check_name) == (dg.AssetKey(asset), name)
    ]
    return found


def test_a_materialization_says_where_what_and_how_much(workshop: Workshop, instance: dg.DagsterInstance) -> None:
    workshop.write("numbers")
    result = materialized(workshop, instance, *FIRST)
    assert result.success
    pool = materialization(result, "pretraining_pool")
    planned = workshop.plan("numbers")["pretraining_pool"]
    assert pool.tags["dagster/data_version"] == planned.digest
    assert pool.metadata["path"].value == planned.folder.uri
    assert pool.metadata["dagster/row_count"].value == 200
    assert pool.metadata["content_digest"].value == planned.output.manifest.content_digest
    assert pool.metadata["reused"].value is False
    assert any(isinstance(value, dg.MarkdownMetadataValue) for value in pool.metadata.values())


def test_every_materialization_links_to_the_card_where_cards_are_served(
    workshop: Workshop, instance: dg.DagsterInstance
) -> None:
    workshop.write("numbers")
    assert "data card" not in materialization(materialized(workshop, instance, "rubric"), "rubric").metadata
    with_cards = assets(GRAPH, "http://127.0.0.1:3001")
    linked = materialization(materialized(workshop, instance, "rubric", of=with_cards), "rubric").metadata["data card"]
    assert linked.value == "http://127.0.0.1:3001/numbers/card.html"


def test_what_is_there_is_reused_and_says_so(workshop: Workshop, instance: dg.DagsterInstance) -> None:
    workshop.write("numbers")
    materialized(workshop, instance, "rubric")
    again = materialization(materialized(workshop, instance, "rubric"), "rubric")
    assert again.metadata["reused"].value is True


def test_an_asset_alone_names_the_stage_it_lacks_and_how_to_get_it(
    workshop: Workshop, instance: dg.DagsterInstance
) -> None:
    workshop.write("numbers")
    said = _failure(materialized(workshop, instance, "training_set"), "training_set")
    assert "training_set of 'numbers' is made from annotations, which has never been made and annotation_sample" in said
    assert "materialize annotations, annotation_sample for 'numbers' first" in said


def test_an_input_made_for_an_older_prompt_is_not_taken(workshop: Workshop, instance: dg.DagsterInstance) -> None:
    workshop.write("numbers", annotator={"likelihood": {**LIKELIHOOD, "question": "First {example}"}})
    workshop.finish("numbers")
    workshop.write("numbers", annotator={"likelihood": {**LIKELIHOOD, "question": "Second {example}"}})
    said = _failure(materialized(workshop, instance, "training_set"), "training_set")
    assert "annotations, which was made before the prompt, its sources or code changed" in said


def test_a_bad_prompt_file_is_quoted_in_the_failure(workshop: Workshop, instance: dg.DagsterInstance) -> None:
    workshop.write("numbers", rubric="nothing to fill in")
    said = _failure(materialized(workshop, instance, "rubric"), "rubric")
    assert "numbers.yaml" in said
    assert "holds {example} 0 times" in said


def test_what_a_stage_refuses_is_said_in_its_own_words(workshop: Workshop, instance: dg.DagsterInstance) -> None:
    workshop.write("numbers")
    result = materialized(
        workshop, instance, "pretraining_pool", compute=Failing(ValueError("too few documents; name more"))
    )
    assert _failure(result, "pretraining_pool") == "too few documents; name more"


def _failure(result: dg.ExecuteInProcessResult, step: str) -> str:
    assert not result.success
    (event,) = [event for event in result.get_step_failure_events() if event.step_key == step]
    data = event.step_failure_data.user_failure_data
    return (data.description or "") if data else pytest.fail(event.step_failure_data.error_display_string)
