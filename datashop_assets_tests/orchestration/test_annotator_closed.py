"""In one process the annotator is closed after the last step of a run that asks it: what follows may want its chip."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import dagster as dg

from datashop_assets.graph import GRAPH
from datashop_assets_tests.annotations.annotators import WordCounter
from datashop_assets_tests.orchestration.workshop import Workshop, materialized

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


def run(workshop: Workshop, instance: dg.DagsterInstance, annotator: Closing) -> None:
    workshop.write(
        "numbers",
        rubric="Rate this: {example}",
        annotator={"scoring": "generate", "sample": 40, "documents": 20, "second_round": {"documents": 0}},
        gates={"waive": {"both_ends_used": "all texts of this test are alike"}},
    )
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
