"""Making a step: what is reused, what is refused and why, and what its checks leave behind."""

from dataclasses import replace
from pathlib import Path

import pytest

from datashop_assets.core.build import BlockedError, MissingInputError, make_step
from datashop_assets.core.plan import Graph, make_plan
from datashop_assets.core.step import Resources, StepRun
from datashop_assets.storage.root import Root
from datashop_assets.storage.stage_folder import DamagedStageError
from datashop_assets_tests.core.small_graph import NumbersConfig, NumbersResult, numbers, plan, prompt

TOO_FEW = {"annotator": {"documents": 5, "gates": {"ends": 6}}}


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(str(tmp_path / "root"))


def test_a_step_is_built_once_and_then_reused(root: Root) -> None:
    first, second = (make_step("numbers", plan(root), Resources()) for _ in range(2))
    assert (first.reused, second.reused) == (False, True)
    assert first.output.result == second.output.result
    assert first.checks == second.checks


def test_a_build_is_given_the_folder_of_its_prompt(root: Root) -> None:
    given: list[str] = []

    def build(run: StepRun[NumbersConfig]) -> NumbersResult:
        given.append(run.prompt_folder.uri)
        return numbers.build(run)

    make_step("numbers", make_plan(Graph((replace(numbers, build=build),)), prompt(), root), Resources())
    assert given == [root.prompt("small").uri]


def test_an_input_that_was_never_made_is_named_with_the_fix(root: Root) -> None:
    with pytest.raises(MissingInputError, match="total of 'small' is made from numbers, which has never been made"):
        make_step("total", plan(root), Resources())


@pytest.mark.parametrize("time", ["in the run that made it", "in a later run"])
def test_what_is_downstream_of_a_failed_gate_is_not_made(root: Root, time: str) -> None:
    planned = plan(root, **TOO_FEW)
    outcome = make_step("numbers", planned, Resources())
    assert not outcome.checks["enough"].passed
    if time == "in a later run":
        planned = plan(root, **TOO_FEW)
    with pytest.raises(BlockedError, match="total of 'small' is blocked by numbers: enough: 5 of 6 numbers"):
        make_step("total", planned, Resources())
    assert not planned["total"].folder.exists("manifest.json")


def test_a_gate_is_judged_before_what_is_downstream_also_where_nobody_has_judged_it_yet(root: Root) -> None:
    make_step("numbers", plan(root, annotator={"documents": 5}), Resources())
    with pytest.raises(BlockedError):
        make_step("total", plan(root, **TOO_FEW), Resources())


def test_a_verdict_that_cannot_be_read_is_made_again(root: Root) -> None:
    make_step("numbers", plan(root), Resources())
    checks = root.prompt("small").child("checks")
    checks.write("numbers", b'{"key": 1}')
    assert make_step("numbers", plan(root), Resources()).checks["enough"].passed
    assert b"enough" in checks.read("numbers")


def test_a_damaged_output_is_never_read_and_never_made_again_by_itself(root: Root) -> None:
    planned = plan(root)
    make_step("numbers", planned, Resources())
    planned["numbers"].folder.write("manifest.json", b"{")
    for name in ("numbers", "total"):
        with pytest.raises(DamagedStageError, match="remove the folder"):
            make_step(name, plan(root), Resources())
