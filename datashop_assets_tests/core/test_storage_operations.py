"""How often a run plans and asks the storage: a bucket takes some 50 ms for each operation."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.local import LocalFileSystem

from datashop_assets.core.build import make_step
from datashop_assets.core.step import Resources
from datashop_assets.storage.root import Root
from datashop_assets_tests.core.small_graph import plan
from datashop_assets_tests.orchestration.workshop import Workshop

OPERATIONS = ("exists", "isfile", "info", "size", "ls", "find", "open", "rm", "mv", "makedirs")


class Operations:
    """Counts what is asked of the disk's file system, from outside: what one operation asks in turn is not counted."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._inside = False

    def of(self, name: str) -> Any:
        original = getattr(LocalFileSystem, name)

        def operation(filesystem: LocalFileSystem, *given: Any, **named: Any) -> Any:
            if self._inside:
                return original(filesystem, *given, **named)
            self.asked.append(name)
            self._inside = True
            try:
                return original(filesystem, *given, **named)
            finally:
                self._inside = False

        return operation


@contextmanager
def counted() -> Iterator[list[str]]:
    operations = Operations()
    with pytest.MonkeyPatch.context() as patch:
        for name in OPERATIONS:
            patch.setattr(LocalFileSystem, name, operations.of(name))
        yield operations.asked


def test_a_plan_reads_one_file_a_step_and_lists_one_folder(workshop: Workshop, tmp_path: Path) -> None:
    workshop.write("numbers")
    workshop.finish("numbers")
    prompt, deployment = workshop.store.load("numbers"), workshop.deployment
    with counted() as asked:
        planned = deployment.plan("numbers")
    with counted() as loading:
        assert deployment.prompts.load("numbers") == prompt
    judged = sum(bool(one.step.checks) for one in planned.values())
    assert len(asked) - len(loading) <= len(planned) + 1 + judged + 4  # the last list the files of pool and sample


def test_a_step_that_is_there_is_found_by_reading_each_manifest_once(tmp_path: Path) -> None:
    root = Root(str(tmp_path / "root"))
    for name in ("numbers", "total", "report"):
        make_step(name, plan(root), Resources())
    planned = plan(root)
    with counted() as asked:
        assert make_step("report", planned, Resources()).reused
    # own manifest and that of both inputs, the verdict on one of these, a listing of its own files
    assert sorted(asked) == ["find", "open", "open", "open", "open"]


COUNTS_PLANS = """
import sys
from datashop_assets import graph
from datashop_assets.cli import main
from datashop_assets.orchestration import pinning
made, make_plan = [], graph.make_plan
graph.make_plan = pinning.make_plan = lambda *given: (made.append(1), make_plan(*given))[1]
try:
    main(["run", "numbers", "--until", "annotation_sample"])
finally:
    print("plans made:", len(made))
"""


def test_a_run_makes_one_plan_for_all_of_its_steps_and_one_when_it_has_ended(
    workshop: Workshop,
) -> None:
    workshop.write("numbers")
    for plans in (2, 1):  # where there is nothing to do, the first says all
        command = [sys.executable, "-c", COUNTS_PLANS]
        environment = {**os.environ, **workshop.environment}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == f"plans made: {plans}"


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)
