"""A server process: watched until it is healthy, and gone when it should be. The server is a small real one."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from resources.annotator.names import chips_of
from resources.annotator.server.command import command_of, environment_of
from resources.annotator.server.process import GUARDIAN, ServerProcess, free_port
from resources.annotator.settings import ServerSettings

SLEEPER = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
SLEEPS = "import time; time.sleep(600)"
WITH_CHILD = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEPER!r}]); " + SLEEPER


def process(command: Sequence[str], port: int, folder: Path) -> ServerProcess:
    return ServerProcess([sys.executable, *command], os.environ, port, folder / "log")


def group_of(guardian: int) -> list[int]:
    """The processes whose session the guardian's child leads."""
    child = subprocess.run(["pgrep", "-P", str(guardian)], capture_output=True, text=True).stdout.split()
    if not child:
        return []
    return [int(one) for one in subprocess.run(["pgrep", "-g", *child], capture_output=True, text=True).stdout.split()]


def wait_for_group(guardian: int, size: int) -> list[int]:
    """Waits until there are `size` of them, and half a second more for their signal handlers."""
    end = time.monotonic() + 10
    while len(group_of(guardian)) < size and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.5)
    return group_of(guardian)


def gone(processes: list[int], seconds: float = 15) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end and any(running(one) for one in processes):
        time.sleep(0.05)
    return not any(running(one) for one in processes)


def running(number: int) -> bool:
    status = Path(f"/proc/{number}/stat")
    return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_a_server_is_healthy_when_it_answers_and_gone_when_it_is_stopped(tmp_path: Path) -> None:
    said: list[str] = []
    port = free_port()
    server = process(["-m", "datashop_assets_tests.annotator.hostile_server", str(port), "0", "0"], port, tmp_path)
    server.start()
    server.wait(30, said.append)

    assert server.running
    assert "healthy after" in said[-1]
    server.stop()
    assert not server.running
    assert not server.healthy()


def test_a_server_that_cannot_start_is_an_error_with_the_end_of_its_log(tmp_path: Path) -> None:
    server = process(["-c", "raise SystemExit('no such accelerator')"], free_port(), tmp_path)
    server.start()

    with pytest.raises(RuntimeError, match=r"ended before it was healthy(.|\n)*no such accelerator"):
        server.wait(30, print)


def test_a_server_that_never_gets_healthy_is_stopped_at_the_deadline(tmp_path: Path) -> None:
    server = process(["-c", "import time; time.sleep(600)"], free_port(), tmp_path)
    server.start()

    with pytest.raises(RuntimeError, match="was not healthy after"):
        server.wait(0.5, print)
    assert not server.running


@pytest.mark.parametrize(("victim", "program", "size"), [("parent", WITH_CHILD, 2), ("guardian", SLEEPS, 1)])
def test_a_server_does_not_outlive_a_kill_of_who_started_it(victim: str, program: str, size: int) -> None:
    command = [sys.executable, "-I", str(GUARDIAN), "0.5", sys.executable, "-c", program]
    starter = (
        f"import subprocess, time; guardian = subprocess.Popen({command!r}, stdin=subprocess.PIPE); "
        "print(guardian.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", starter], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        guardian = int(parent.stdout.readline())
        group = wait_for_group(guardian, size)
        os.kill(parent.pid if victim == "parent" else guardian, signal.SIGKILL)
        ended = gone(group)
        parent.kill()

    assert len(group) == size
    assert ended


def test_vllm_is_called_with_the_defaults_of_the_field_and_whatever_else_is_given() -> None:
    settings = ServerSettings(python=Path(sys.executable), arguments=("--max-num-seqs", "64"))
    command = command_of(
        settings, "meta-llama/Llama-3.3-70B-Instruct", "meta-llama/Llama-3.3-70B-Instruct", "main", 8000
    )

    assert {"--tensor-parallel-size=8", "--max-model-len=8192", "--host=127.0.0.1", "--revision=main"} <= set(command)
    assert command[-2:] == ["--max-num-seqs", "64"]
    assert chips_of("somebody/new-model") == 8


def test_a_key_reaches_the_server_by_its_environment_and_not_by_its_arguments() -> None:
    settings = ServerSettings(python=Path(sys.executable))
    command = command_of(settings, "a/b", "a/b", "", 8000)

    assert environment_of("a/b", "secret-key")["VLLM_API_KEY"] == "secret-key"
    assert not any("key" in argument for argument in command)


def test_an_environment_that_is_not_made_is_named_with_the_mend(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="run `make vllm`"):
        command_of(ServerSettings(python=tmp_path / "python"), "a/b", "a/b", "", 8000)
