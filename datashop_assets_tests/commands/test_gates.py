"""A gate that failed stops every later run too, from the terminal and from Python: nothing downstream is made."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from datashop_assets.core.build import BlockedError
from datashop_assets.core.step import Resources
from datashop_assets.runner import DatashopRunner, DatashopRunnerConfig
from datashop_assets.storage.root import Root
from datashop_assets_tests.annotations.annotators import WordCounter
from datashop_assets_tests.annotator.fleets import Server, fleet
from datashop_assets_tests.annotator.hostile_server import MODEL
from datashop_assets_tests.orchestration.workshop import Workshop

RUBRIC = "Rate this: {example}\nFinal score: N"
ANNOTATOR: dict[str, Any] = {
    "scoring": "generate",
    "model": MODEL,
    "sample": 40,
    "documents": 20,
    "second_round": {"documents": 0},
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Answers everything, and no reply holds a score."""
    with fleet(1) as (one,):
        yield one


def test_the_terminal_stops_at_a_failed_gate_now_and_in_every_later_run(tmp_path: Path, server: Server) -> None:
    workshop = Workshop(tmp_path)
    workshop.write("numbers", rubric=RUBRIC, annotator=ANNOTATOR)
    places = {"DATASHOP_ANNOTATOR": "endpoints", "DATASHOP_ANNOTATOR_URLS": server.url, "COLUMNS": "300"}
    command = [str(Path(sys.executable).with_name("datashop")), "run", "numbers", "--until", "training_set"]

    def run() -> tuple[int, str]:
        environment = {**os.environ, **workshop.environment, **places}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    code, first = run()
    asked = server.requests()
    assert (code, asked >= 20) == (1, True), first
    assert "check coverage failed" in first
    assert "blocked: annotations: coverage: 0 of 20 asked documents have a score" in first
    code, second = run()
    assert code == 1, second
    assert "blocked: annotations: coverage: 0 of 20 asked documents have a score" in second
    assert server.requests() == asked
    assert workshop.store.root.stages.child("training_set").folders() == []


def test_python_stops_at_a_failed_gate_now_and_in_every_later_run(tmp_path: Path) -> None:
    workshop = Workshop(tmp_path)
    root = Root(str(tmp_path / "root"))
    (tmp_path / "prompts").mkdir()
    config = DatashopRunnerConfig(
        experiment_name="numbers",
        annotator_model_name=MODEL,
        pretraining_data_path=str(workshop.documents()),
        annotator_data_path=str(workshop.documents()),
        data_filter_prompt=RUBRIC,
        dataset_output_processor_config_kwargs={"processor_type": "finalscore0-5"},
        settings={"annotator": {name: value for name, value in ANNOTATOR.items() if name != "model"}},
    )
    for asked in (20, 0):
        annotator = WordCounter(says={"Text": "no"})
        runner = DatashopRunner(config, root, Resources(annotator=annotator), tmp_path / "prompts")
        with pytest.raises(BlockedError, match="coverage: 0 of 20 asked documents have a score"):
            runner.run_eval_cluster_steps()
        with pytest.raises(BlockedError, match="training_set of 'numbers' is blocked by annotations: coverage"):
            runner.run("training_set")
        assert len(annotator.requests) == asked
    assert root.stages.child("training_set").folders() == []
