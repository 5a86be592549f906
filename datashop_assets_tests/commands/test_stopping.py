"""Ctrl-C, `kill` and a closed terminal stop a command in one line, with the signal's exit code."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from datashop_assets_tests.orchestration.workshop import Workshop

DATASHOP = str(Path(sys.executable).with_name("datashop"))
# `datashop run` whose pool takes long, with a signal's own moment: as soon as the step has begun
SLOW = """
import sys, time
import datashop_assets.documents.index as index
from datashop_assets.cli import main
from resources.compute import LocalCompute
def slow(self, function, items):
    print("begun", flush=True)
    time.sleep(600)
LocalCompute.map = slow
main(["run", "numbers"])
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    workshop = Workshop(tmp_path)
    workshop.write("numbers")
    return {
        **os.environ,
        "DATASHOP_ROOT": workshop.store.root.uri,
        "DATASHOP_PROMPTS": str(workshop.store.folder),
        "DAGSTER_HOME": str(tmp_path / "home"),
    }


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_run_says_that_the_same_command_goes_on(environment: dict[str, str], number: signal.Signals) -> None:
    run = subprocess.Popen(
        [sys.executable, "-c", SLOW], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    time.sleep(5)
    end = time.monotonic() + 120
    while time.monotonic() < end and not list(Path(environment["DAGSTER_HOME"]).rglob("*.out")):
        time.sleep(0.2)  # what a step prints is in Dagster's log of it
    logs = list(Path(environment["DAGSTER_HOME"]).rglob("*.out"))
    while time.monotonic() < end and not any("begun" in log.read_text() for log in logs):
        time.sleep(0.2)
        logs = list(Path(environment["DAGSTER_HOME"]).rglob("*.out"))
    run.send_signal(number)
    _, said = run.communicate(timeout=60)
    assert said.strip().splitlines()[-1] == "Stopped; the same command goes on"
    assert "Traceback" not in said
    assert "failed" not in said
    assert run.returncode == 128 + number


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_other_commands_stop_in_one_line_too(number: signal.Signals) -> None:
    script = (
        "import os, time, datashop_assets.doctor as d; from datashop_assets.cli import main\n"
        f"d.examine = lambda _: (os.kill(os.getpid(), {int(number)}), time.sleep(60))\nmain(['doctor'])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "Stopped"
    assert done.returncode == 128 + number


FULL = Path("/dev/full")
LOST = "standard output cannot be written: No space left on device"


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "command", ["status", "status --json", "--help", "prune --json", "completion bash", "run numbers"]
)
def test_an_output_that_takes_no_more_ends_a_command_in_one_line(
    environment: dict[str, str], command: str, unbuffered: str
) -> None:
    with FULL.open("w") as full:
        done = subprocess.run(
            [DATASHOP, *command.split()], env={**environment, "PYTHONUNBUFFERED": unbuffered}, stdout=full,
            stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr.splitlines()) == (2, [LOST])


@pytest.mark.parametrize("both", [False, True])
def test_an_error_that_nobody_can_be_told_keeps_its_code(environment: dict[str, str], both: bool) -> None:
    with FULL.open("w") as full:
        output = full if both else subprocess.PIPE
        command = [DATASHOP, "status", "nobody"]
        done = subprocess.run(command, env=environment, stdout=output, stderr=full, check=False)
    assert done.returncode == 2


def test_a_pipe_that_nobody_reads_any_more_ends_a_command_in_silence(environment: dict[str, str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [DATASHOP, "status", "--json"]
    done = subprocess.run(command, env=environment, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


def test_what_nohup_ignores_stays_ignored() -> None:
    script = (
        "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "import os, datashop_assets.doctor as d; from datashop_assets.cli import main\n"
        "d.examine = lambda _: os.kill(os.getpid(), signal.SIGHUP) or []\nmain(['doctor'])"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=False).returncode == 0
