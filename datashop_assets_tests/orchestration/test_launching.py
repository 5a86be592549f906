"""A run from the terminal: recorded like any other, fit to be executed again from the UI, and never in the way."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from datashop_assets.orchestration.home import use_home
from datashop_assets.orchestration.run_locks import end_dead_runs
from datashop_assets.storage.root import project
from datashop_assets_tests.orchestration.dagster_internals import load_workspace_process_context_from_yaml_paths
from datashop_assets_tests.orchestration.workshop import Workshop

REEXECUTE = """mutation($parameters: ReexecutionParams) {
  launchRunReexecution(reexecutionParams: $parameters) { __typename ... on PythonError { message } }
}"""
INTERRUPTED = """
import os, signal, time
class Interrupted:
    def map(self, function, items):
        os.kill(os.getpid(), signal.SIGINT)  # what Ctrl-C sends
        time.sleep(60)
"""
TELLS = """
import logging
class Telling:
    def map(self, function, items):
        logging.basicConfig()  # as orbax does when it is imported
        logging.getLogger("datashop.training").info("seed %d: loss 1.5", 0)
        return map(function, items)
"""
RUNS_FOR_EVER = """
import sys, time, dagster as dg
from datashop_assets.orchestration.run_locks import hold
with dg.DagsterInstance.get() as instance:
    run = instance.create_run_for_job(dg.GraphDefinition("job", node_defs=[]).to_job())
    instance.report_engine_event("begun", run)
    hold(instance, run.run_id)
    print(run.run_id, flush=True)
    time.sleep(600)
"""


def launched(*stages: str, before: str = "", resources: str = "{}") -> tuple[bool, str]:
    """Launches in a process of its own, as the terminal does: whether it succeeded, and what it said."""
    call = f"""
from datashop_assets.definitions import definitions
from datashop_assets.orchestration.launching import launch
from datashop_assets.deployment import Deployment
from datashop_assets.settings import read_settings
settings = read_settings()
assert launch(definitions, Deployment.of(settings).plan("numbers"), {list(stages)}, settings, {resources})
"""
    done = subprocess.run([sys.executable, "-c", f"{before}\n{call}"], capture_output=True, text=True, check=False)
    return done.returncode == 0, done.stderr


@pytest.fixture
def home(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, folder in {"DAGSTER_HOME": "home", "DATASHOP_ROOT": "root", "DATASHOP_PROMPTS": "prompts"}.items():
        monkeypatch.setenv(name, str(workshop.place / folder))
    use_home(workshop.place / "home")
    return workshop.place / "home"


@pytest.fixture
def recorded(home: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.get() as instance:
        yield instance


def test_a_home_is_made_once_with_its_settings(home: Path) -> None:
    settings = home / "dagster.yaml"
    assert "max_concurrent_runs: 1" in settings.read_text()
    settings.write_text("telemetry: {enabled: false}\n")
    use_home(home)
    assert settings.read_text() == "telemetry: {enabled: false}\n"


def test_a_launched_run_makes_its_stages_and_is_recorded(workshop: Workshop, recorded: dg.DagsterInstance) -> None:
    workshop.write("numbers")
    succeeded, said = launched("pretraining_pool", "annotation_sample", "rubric")
    assert succeeded, said
    assert "rubric" not in workshop.to_do("numbers")
    assert "pretraining_pool" in said
    assert "200 rows" in said
    (run,) = recorded.get_runs()
    assert run.tags["dagster/partition"] == "numbers"
    assert run.remote_job_origin is not None
    assert run.remote_job_origin.location_name == "datashop"
    captured = Path(recorded.root_directory, "storage", run.run_id, "compute_logs")
    assert {log.suffix for log in captured.iterdir()} >= {".out", ".err"}


def test_the_ui_can_execute_a_launched_run_again(workshop: Workshop, recorded: dg.DagsterInstance) -> None:
    from dagster_graphql.schema import create_schema

    workshop.write("numbers")
    launched("rubric")
    (run,) = recorded.get_runs()
    # the workspace as the webserver makes it for its GraphQL; a public way to do so would need a webserver that runs
    workspace = load_workspace_process_context_from_yaml_paths(recorded, [str(project() / "workspace.yaml")])
    variables = {"parameters": {"parentRunId": run.run_id, "strategy": "ALL_STEPS"}}
    with workspace as context:
        answer = asyncio.run(
            create_schema().execute_async(
                REEXECUTE, variable_values=variables, context_value=context.create_request_context()
            )
        )
    context._grpc_server_registry.wait_for_processes()  # Dagster leaves the code server to end by itself
    assert answer.errors is None
    assert answer.data == {"launchRunReexecution": {"__typename": "LaunchRunSuccess"}}
    again = recorded.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED]))
    assert [each.parent_run_id for each in again] == [run.run_id]
    assert again[0].asset_selection == {dg.AssetKey("rubric")}


def test_a_stage_that_fails_is_named_with_what_it_said(workshop: Workshop, home: Path) -> None:
    workshop.write("numbers")
    succeeded, said = launched("training_set")
    assert not succeeded
    assert "training_set failed: training_set of 'numbers' is made from annotations" in said


def test_what_training_tells_is_a_plain_line(workshop: Workshop, recorded: dg.DagsterInstance) -> None:
    workshop.write("numbers")
    succeeded, said = launched("pretraining_pool", before=TELLS, resources="{'compute': Telling()}")
    assert succeeded, said
    assert {line for line in said.splitlines() if "loss 1.5" in line} == {"  seed 0: loss 1.5"}
    (run,) = recorded.get_runs()
    assert any("seed 0: loss 1.5" in event.user_message for event in recorded.all_logs(run.run_id))


def test_an_interrupt_ends_the_whole_run(workshop: Workshop, recorded: dg.DagsterInstance) -> None:
    workshop.write("numbers")
    succeeded, said = launched("pretraining_pool", "rubric", before=INTERRUPTED, resources="{'compute': Interrupted()}")
    assert not succeeded
    assert said.strip().endswith("KeyboardInterrupt")  # which the command turns into one line
    assert "failed" not in said
    (run,) = recorded.get_runs()
    assert run.is_finished
    assert "rubric" in workshop.to_do("numbers")


def test_a_run_whose_process_was_killed_is_ended(home: Path, recorded: dg.DagsterInstance) -> None:
    killed = subprocess.Popen([sys.executable, "-c", RUNS_FOR_EVER], stdout=subprocess.PIPE, text=True)
    assert killed.stdout is not None
    run_id = killed.stdout.readline().strip()
    recorded.event_log_storage.set_concurrency_slots("accelerator", 1)
    recorded.event_log_storage.claim_concurrency_slot("accelerator", run_id, "step")
    assert end_dead_runs(recorded) == [], "its process lives"
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    killed.stdout.close()
    assert end_dead_runs(recorded) == [run_id]
    assert recorded.get_run_by_id(run_id).status is dg.DagsterRunStatus.FAILURE
    assert recorded.event_log_storage.get_concurrency_info("accelerator").active_slot_count == 0
    assert end_dead_runs(recorded) == []
