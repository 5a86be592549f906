"""Making a step: what is reused, what is refused and why, and what its checks leave behind."""

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from datashop_assets.core.build import BlockedError, MissingInputError, make_step
from datashop_assets.core.plan import Graph, State, make_plan
from datashop_assets.core.step import Resources, StepRun
from datashop_assets.storage.folders import Folder
from datashop_assets.storage.leases import LostLeaseError, Owner, _machine
from datashop_assets.storage.root import Root
from datashop_assets.storage.stage_folder import DamagedStageError
from datashop_assets_tests.core.small_graph import (
    NumbersConfig,
    NumbersResult,
    TotalResult,
    numbers,
    plan,
    prompt,
    states,
    total,
)

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
    assert not outcome.checks["coverage"].passed
    if time == "in a later run":
        planned = plan(root, **TOO_FEW)
    with pytest.raises(BlockedError, match="total of 'small' is blocked by numbers: coverage: 5 of 6 numbers"):
        make_step("total", planned, Resources())
    assert not planned["total"].folder.exists("manifest.json")


def test_a_gate_is_judged_before_what_is_downstream_also_where_nobody_has_judged_it_yet(root: Root) -> None:
    make_step("numbers", plan(root, annotator={"documents": 5}), Resources())
    with pytest.raises(BlockedError):
        make_step("total", plan(root, **TOO_FEW), Resources())


def test_a_gate_further_up_holds_back_too(root: Root) -> None:
    """`report` is made from `total`, which is there, and that from numbers that are no longer enough."""
    without = {"labels": {"balance": False}}  # then `numbers` is no input of `report`
    for name in ("numbers", "total"):
        make_step(name, plan(root, annotator={"documents": 5}, **without), Resources())
    with pytest.raises(BlockedError, match="report of 'small' is blocked by numbers: coverage: 5 of 6 numbers"):
        make_step("report", plan(root, **TOO_FEW, **without), Resources())


def test_what_stands_after_a_failed_gate_is_not_made_though_it_is_no_input(root: Root) -> None:
    beside = replace(total, inputs=(), build=lambda _: pytest.fail("was made"))
    planned = make_plan(Graph((numbers, beside)), prompt(**TOO_FEW), root)
    make_step("numbers", planned, Resources())
    with pytest.raises(BlockedError, match="total of 'small' is blocked by numbers: coverage"):
        make_step("total", planned, Resources())
    again = make_plan(Graph((numbers, beside)), prompt(**TOO_FEW), root)
    assert states(again) == ["current", "blocked"]


def test_what_is_there_and_no_gates_business_stays_as_it_is(root: Root) -> None:
    beside = replace(total, inputs=(), build=lambda _: TotalResult(total=1))
    graph = Graph((numbers, beside))
    make_step("total", make_plan(graph, prompt(**TOO_FEW), root), Resources())
    make_step("numbers", make_plan(graph, prompt(**TOO_FEW), root), Resources())
    planned = make_plan(graph, prompt(**TOO_FEW), root)
    assert states(planned) == ["current", "current"]
    assert make_step("total", planned, Resources()).reused


def test_a_waived_gate_stops_nothing_says_why_and_makes_nothing_stale(root: Root) -> None:
    make_step("numbers", plan(root, **TOO_FEW), Resources())
    waived = plan(root, **TOO_FEW, gates={"waive": {"coverage": "five will do"}})
    assert [one.digest for one in waived.values()] == [one.digest for one in plan(root, **TOO_FEW).values()]
    assert states(waived) == ["current", "missing", "missing"]
    outcome = make_step("numbers", waived, Resources())
    assert (outcome.reused, outcome.checks["coverage"].waived) == (True, "five will do")
    assert not outcome.checks["coverage"].passed
    make_step("total", waived, Resources())
    assert states(plan(root, **TOO_FEW)) == ["current", "blocked", "blocked"], "taken back, it stops again"


def test_a_failed_gate_says_which_rows_made_it_fail(root: Root) -> None:
    make_step("numbers", plan(root, **TOO_FEW), Resources())
    with pytest.raises(BlockedError) as raised:
        make_step("total", plan(root, **TOO_FEW), Resources())
    assert str(raised.value).splitlines()[1:] == ["  number 4"]


def test_a_verdict_that_cannot_be_read_is_made_again(root: Root) -> None:
    make_step("numbers", plan(root), Resources())
    checks = root.prompt("small").child("checks")
    checks.write("numbers", b'{"key": 1}')
    assert make_step("numbers", plan(root), Resources()).checks["coverage"].passed
    assert b"coverage" in checks.read("numbers")


def truncated(folder: Folder) -> None:
    folder.write("manifest.json", folder.read("manifest.json")[:40])


def of_another_step(folder: Folder) -> None:
    folder.write("manifest.json", folder.read("manifest.json").replace(b'"numbers"', b'"letters"'))


def a_folder_in_its_place(folder: Folder) -> None:
    folder.remove("manifest.json")
    folder.write("manifest.json/stray", b"")


def a_file_in_the_folders_place(folder: Folder) -> None:
    folder.remove()
    Path(folder.uri).write_bytes(b"a note")


def a_shard_is_gone(folder: Folder) -> None:
    folder.remove("numbers.jsonl.zst")


def a_shard_is_cut_short(folder: Folder) -> None:
    folder.write("numbers.jsonl.zst", b"")


BEFORE_THE_BUILD = (truncated, of_another_step, a_folder_in_its_place, a_file_in_the_folders_place)


@pytest.mark.parametrize("damage", [*BEFORE_THE_BUILD, a_shard_is_gone, a_shard_is_cut_short], ids=lambda d: d.__name__)
def test_a_damaged_output_is_set_aside_and_made_again_which_the_log_says(
    root: Root, damage: Callable[[Folder], None], caplog: pytest.LogCaptureFixture
) -> None:
    first = make_step("numbers", plan(root), Resources())
    damage(first.output.folder)
    left = {name: (Path(first.output.uri) / name).read_bytes() for name in first.output.folder.names()}
    again = make_step("numbers", plan(root), Resources())
    assert not again.reused
    assert again.output.manifest.content_digest == first.output.manifest.content_digest
    (place,) = Path(root.uri).glob("damaged/numbers/*")
    if left:
        assert {name: (place / name).read_bytes() for name in left} == left
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("numbers is damaged: ")
    assert said.endswith(f"It was moved to {place} and is made again")
    assert first.output.uri in said
    assert plan(root)["numbers"].state is State.CURRENT


@pytest.mark.parametrize("damage", BEFORE_THE_BUILD, ids=lambda damage: damage.__name__)
def test_nothing_is_made_from_a_damaged_input(root: Root, damage: Callable[[Folder], None]) -> None:
    folder = make_step("numbers", plan(root), Resources()).output.folder
    damage(folder)
    with pytest.raises(DamagedStageError, match=f"{folder.uri}.*; run the prompt: it moves {folder.uri} to damaged/"):
        make_step("total", plan(root), Resources())


def test_what_a_killed_build_left_behind_its_manifest_is_cleared_at_the_next_look(root: Root) -> None:
    first = make_step("numbers", plan(root), Resources())
    folder, scratch = first.output.folder, root.scratch("numbers", plan(root)["numbers"].digest)
    whole = folder.names()
    gone = Owner(id="gone", machine=_machine(), process=2**22 + 1)
    folder.write("lease.json", gone.model_dump_json().encode())
    folder.write("claim-gone.json", gone.model_dump_json().encode())
    folder.write("receipts/numbers.jsonl.zst.json", b"{}")
    scratch.mkdir(parents=True)
    again = make_step("numbers", plan(root), Resources())
    assert again.reused
    assert (folder.names(), scratch.exists()) == (whole, False)
    assert make_step("numbers", plan(root), Resources()).reused


def test_a_build_whose_lease_was_taken_over_says_so_and_to_whom_whatever_else_went_wrong(root: Root) -> None:
    def build(run: StepRun[NumbersConfig]) -> NumbersResult:
        other = Owner(id="other", machine="elsewhere ", process=7, since="2026-01-01 10:00:00 UTC")
        run.output.folder.write("lease.json", other.model_dump_json().encode())
        raise FileNotFoundError("a file that the other has removed")

    with pytest.raises(
        LostLeaseError, match=r"lost its lease of .* to process 7 on elsewhere since 2026-01-01 10:00:00"
    ):
        make_step("numbers", make_plan(Graph((replace(numbers, build=build),)), prompt(), root), Resources())


def test_a_full_disk_under_a_build_is_named_with_what_is_free(root: Root) -> None:
    def build(run: StepRun[NumbersConfig]) -> NumbersResult:
        raise OSError(errno.ENOSPC, "No space left on device")  # as a library says it, without a name

    with pytest.raises(
        OSError, match=r"numbers: No space left on device. Bytes that are free: [\d,]+ in /.*scratch/num"
    ):
        make_step("numbers", make_plan(Graph((replace(numbers, build=build),)), prompt(), root), Resources())


def test_what_a_stopped_process_writes_into_is_not_shared_with_who_took_its_lease_over(root: Root) -> None:
    places: list[Path] = []

    def build(run: StepRun[NumbersConfig]) -> NumbersResult:
        places.append(run.output.scratch)
        return numbers.build(run)

    planned = make_plan(Graph((replace(numbers, build=build),)), prompt(), root)
    base = root.scratch("numbers", planned["numbers"].digest)
    base.mkdir(parents=True)
    stopped = Owner(id="stopped", machine=_machine(), process=os.getpid())
    planned["numbers"].folder.write("lease.json", stopped.model_dump_json().encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("datashop_assets.storage.leases.EXPIRES", 0.1)
        patch.setattr("datashop_assets.storage.leases.LOOKS", 0.05)
        make_step("numbers", planned, Resources())
    assert places[0] != base
    assert places[0].parent == base.parent
    assert list(base.parent.iterdir()) == []
