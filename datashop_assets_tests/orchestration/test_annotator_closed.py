"""In one process the annotator is closed after the last step of a run that asks it: what follows may want its chip."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from datashop_assets.core.step import Resources
from datashop_assets.graph import GRAPH
from datashop_assets.protocols.annotator import AnnotationRequest, Answer, Question
from datashop_assets.runner import DatashopRunner
from datashop_assets_tests.annotations.annotators import WordCounter
from datashop_assets_tests.orchestration.workshop import Workshop, materialized
from datashop_assets_tests.small import experiment
from resources.compute import LocalCompute

STEPS = ("pretraining_pool", "annotation_sample", "rubric", "annotations", "annotator_report", "training_set")


@dataclass
class Closing(WordCounter):
    """Notes which steps are finished when it is closed."""

    workshop: Workshop | None = None
    closed_after: list[Sequence[str]] = field(default_factory=list)

    def close(self) -> None:
        assert self.workshop is not None
        stages = self.workshop.store.root.stages
        self.closed_after.append([name for name in GRAPH.names if stages.child(name).folders()])


class Losing(Closing):
    """Loses its model with the first question."""

    def answer(self, asked: Iterable[AnnotationRequest], question: Question) -> Iterator[Answer]:
        raise RuntimeError("the model is gone")


def write(workshop: Workshop, **changes: Any) -> None:
    waived = {"waive": {"both_ends_used": "all texts of this test are alike"}}
    annotator = {"scoring": "generate", "sample": 40, "documents": 20, "second_round": {"documents": 0}}
    workshop.write("numbers", **{"rubric": "Rate this: {example}", "annotator": annotator, "gates": waived} | changes)


def run(workshop: Workshop, instance: dg.DagsterInstance, annotator: Closing) -> None:
    write(workshop)
    assert materialized(workshop, instance, *STEPS, annotator=annotator).success


def test_it_is_closed_after_the_last_step_that_asks_and_before_the_next(
    workshop: Workshop, instance: dg.DagsterInstance
) -> None:
    annotator = Closing(workshop=workshop)
    run(workshop, instance, annotator)
    assert annotator.requests
    asking, rest = annotator.closed_after[0], annotator.closed_after[1:]
    assert asking == [name for name in GRAPH.names if name in STEPS and name != "training_set"]
    assert all("training_set" in names for names in rest)


def test_a_run_in_which_everything_is_reused_asks_nothing(workshop: Workshop, instance: dg.DagsterInstance) -> None:
    run(workshop, instance, Closing(workshop=workshop))
    again = Closing(workshop=workshop)
    run(workshop, instance, again)
    assert again.requests == []


def test_it_is_closed_after_a_step_that_fails_and_before_the_next_that_does_not_depend_on_it(
    workshop: Workshop, instance: dg.DagsterInstance
) -> None:
    write(workshop)
    annotator = Losing(workshop=workshop)
    assert not materialized(workshop, instance, *STEPS, "decontamination", annotator=annotator).success
    finished = [name for name, planned in workshop.plan("numbers").items() if planned.usable]
    assert finished == ["pretraining_pool", "annotation_sample", "rubric", "decontamination"]
    assert annotator.closed_after[0] == [*finished[:-1], "annotations"]  # whose folder was begun


def test_it_is_closed_where_a_gate_holds_back_what_would_have_asked(
    workshop: Workshop, instance: dg.DagsterInstance
) -> None:
    write(workshop, gates={})
    annotator = Closing(workshop=workshop)
    assert not materialized(workshop, instance, *STEPS, annotator=annotator).success
    assert annotator.closed_after[0] == ["pretraining_pool", "annotation_sample", "rubric", "annotations"]


def test_a_script_that_fails_leaves_no_annotator_behind(workshop: Workshop, tmp_path: Path) -> None:
    annotator = Losing(workshop=workshop)
    resources = Resources(annotator=annotator, compute=LocalCompute(processes=1))
    config = experiment("numbers", str(workshop.documents()))
    runner = DatashopRunner(config, workshop.store.root, resources, tmp_path)
    with pytest.raises(RuntimeError, match="the model is gone"):
        runner.run(*STEPS)
    assert len(annotator.closed_after) == 1
