"""The states of a plan: what makes each, what a run would do about it, and what it says."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from datashop_assets.core.build import make_step
from datashop_assets.core.plan import Graph, State
from datashop_assets.core.step import Resources
from datashop_assets.storage.root import Root
from datashop_assets_tests.core.small_graph import GRAPH, numbers, plan, prompt, report, states, total

ALL = ["numbers", "total", "report"]


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(str(tmp_path / "root"))


def make(root: Root, *names: str, **sections: object) -> None:
    planned = plan(root, **sections)
    for name in names or ALL:
        make_step(name, planned, Resources())


def test_what_was_never_made_is_missing_and_to_do(root: Root) -> None:
    planned = plan(root)
    assert states(planned) == ["missing"] * 3
    assert planned.to_do() == ALL


def test_what_was_made_is_current_and_nothing_is_to_do(root: Root) -> None:
    make(root)
    assert states(plan(root)) == ["current"] * 3
    assert plan(root).to_do() == []
    assert plan(root)["report"].output.result.text == "101025 of 450"


def test_an_edit_makes_what_depends_on_it_stale_and_nothing_else(root: Root) -> None:
    make(root)
    edited = plan(root, labels={"balance": False})
    assert states(edited) == ["current", "current", "stale"]
    assert "the prompt, its sources or the code changed" in edited["report"].reason


def test_an_output_that_was_removed_is_stale_and_the_reason_says_so(root: Root) -> None:
    make(root)
    plan(root)["total"].folder.remove()
    assert states(plan(root)) == ["current", "stale", "current"]
    assert plan(root)["total"].reason.endswith("or it was removed")
    assert plan(root).to_do() == ["total"]


def test_a_step_that_the_prompt_does_not_ask_for_is_in_no_plan(root: Root) -> None:
    assert list(plan(root, training={"matched_control": False})) == ["numbers", "total"]


def test_an_input_that_the_prompt_does_not_use_is_no_input(root: Root) -> None:
    assert plan(root)["report"].inputs == ("total", "numbers")
    assert plan(root, labels={"balance": False})["report"].inputs == ("total",)


@pytest.mark.parametrize("damage", ["truncated", "a field more", "another step's", "an input without its digests"])
def test_a_manifest_that_cannot_be_believed_is_damaged_and_names_folder_and_fix(root: Root, damage: str) -> None:
    make(root)
    folder = plan(root)["total"].folder
    whole = folder.read("manifest.json")
    changed = {
        "truncated": whole[: len(whole) // 2],
        "a field more": json.dumps({**json.loads(whole), "colour": "blue"}).encode(),
        "another step's": plan(root)["numbers"].folder.read("manifest.json"),
        "an input without its digests": json.dumps({**json.loads(whole), "inputs": {"numbers": {}}}).encode(),
    }
    folder.write("manifest.json", changed[damage])
    planned = plan(root)
    assert planned["total"].state is State.DAMAGED
    assert folder.uri in planned["total"].reason
    assert (
        planned["total"].fix
        == f"run the prompt: it moves {folder.uri} to damaged/ of the root and makes the stage again"
    )
    assert "total" in planned.to_do()
    assert states(planned)[0] == "current"


def test_a_failed_gate_blocks_everything_downstream_until_it_passes(root: Root) -> None:
    too_few = {"annotator": {"documents": 5, "gates": {"ends": 6}}}
    make(root, "numbers", **too_few)
    blocked = plan(root, **too_few)
    assert states(blocked) == ["current", "blocked", "blocked"]
    assert blocked.to_do() == []
    assert blocked.blocked() == dict.fromkeys(["total", "report"], "numbers: coverage: 5 of 6 numbers")
    lowered = plan(root, annotator={"documents": 5, "gates": {"ends": 5}})
    assert states(lowered) == ["current", "missing", "missing"], "the threshold is in no digest and is judged anew"


def test_a_gate_that_was_passed_blocks_what_was_made_when_its_threshold_rises(root: Root) -> None:
    make(root, annotator={"documents": 5})
    raised = {"annotator": {"documents": 5, "gates": {"ends": 6}}}
    make(root, "numbers", **raised)
    assert states(plan(root, **raised)) == ["current", "blocked", "blocked"]


def test_a_gate_that_was_not_judged_by_the_settings_of_now_is_to_do(root: Root) -> None:
    """A threshold that rises when all is finished changes no digest, and must not go unseen."""
    make(root, annotator={"documents": 5})
    raised = {"annotator": {"documents": 5, "gates": {"ends": 6}}}
    assert states(plan(root, **raised)) == ["current"] * 3
    assert plan(root, **raised).to_do() == ["numbers"]
    make(root, "numbers", **raised)
    assert states(plan(root, **raised)) == ["current", "blocked", "blocked"]
    assert plan(root, **raised).to_do() == []


def test_what_a_gate_holds_back_is_to_do_where_what_it_judged_is_made_again(root: Root) -> None:
    too_few = {"annotator": {"documents": 5, "gates": {"ends": 6}}}
    make(root, "numbers", **too_few)
    other = plan(root, annotator={"documents": 7, "gates": {"ends": 6}})
    assert other.to_do() == ALL


def test_a_graph_whose_steps_are_out_of_order_is_refused() -> None:
    with pytest.raises(ValueError, match="total reads \\['numbers'\\], which is not declared before it"):
        Graph((total, numbers))


def test_a_step_that_reads_every_step_before_it_reads_a_new_one_too() -> None:
    reads_all = replace(report, inputs=(), reads_every_step=True)
    assert Graph((numbers, reads_all)).step("report").inputs_of(prompt()) == ("numbers",)
    assert Graph((numbers, total, reads_all)).step("report").inputs_of(prompt()) == ("numbers", "total")


def test_what_is_upstream_of_a_step_is_found_by_name_and_an_unknown_name_is_refused() -> None:
    assert GRAPH.up_to("total") == ["numbers", "total"]
    assert GRAPH.nearest(["numbers", "total"]) == ["total"]
    with pytest.raises(ValueError, match="unknown step 'tides'; the steps are numbers, total, report"):
        GRAPH.up_to("tides")
