"""A server process: watched until it is healthy, and gone when it should be. The server is a small real one."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from datashop_assets.processes.child import SUPERVISOR
from datashop_assets.protocols.annotator import AnnotationRequest, Ended
from datashop_assets_tests.annotator.fleets import QUESTION
from resources.annotator.names import chips_of
from resources.annotator.vllm.server import (
    ServerProcess,
    VLLMServer,
    free_port,
    server_command,
    server_environment,
)

SLEEPER = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
SLEEPS = "import time; time.sleep(600)"
WITH_CHILD = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEPER!r}]); " + SLEEPER


def process(command: Sequence[str], port: int, folder: Path) -> ServerProcess:
    return ServerProcess([sys.executable, *command], os.environ, port, folder / "log")


def group_of(supervisor: int) -> list[int]:
    """The processes whose session the supervisor's child leads."""
    child = subprocess.run(["pgrep", "-P", str(supervisor)], capture_output=True, text=True).stdout.split()
    if not child:
        return []
    return [int(one) for one in subprocess.run(["pgrep", "-g", *child], capture_output=True, text=True).stdout.split()]


def wait_for_group(supervisor: int, size: int) -> list[int]:
    """Waits until there are `size` of them, and half a second more for their signal handlers."""
    end = time.monotonic() + 10
    while len(group_of(supervisor)) < size and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.5)
    return group_of(supervisor)


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


@pytest.mark.parametrize(("victim", "program", "size"), [("parent", WITH_CHILD, 2), ("supervisor", SLEEPS, 1)])
def test_a_server_does_not_outlive_a_kill_of_who_started_it(victim: str, program: str, size: int) -> None:
    command = [sys.executable, "-I", str(SUPERVISOR), "0.5", sys.executable, "-c", program]
    starter = (
        f"import subprocess, time; supervisor = subprocess.Popen({command!r}, stdin=subprocess.PIPE); "
        "print(supervisor.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", starter], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        supervisor = int(parent.stdout.readline())
        group = wait_for_group(supervisor, size)
        os.kill(parent.pid if victim == "parent" else supervisor, signal.SIGKILL)
        ended = gone(group)
        parent.kill()

    assert len(group) == size
    assert ended


def test_vllm_is_called_with_the_original_defaults_and_whatever_else_is_given() -> None:
    settings = VLLMServer(python=sys.executable, arguments=["--max-num-seqs", "64"])
    command = server_command(
        settings, "meta-llama/Llama-3.3-70B-Instruct", "meta-llama/Llama-3.3-70B-Instruct", "main", 8000
    )

    assert {"--tensor-parallel-size=8", "--max-model-len=8192", "--host=127.0.0.1", "--revision=main"} <= set(command)
    assert command[-2:] == ["--max-num-seqs", "64"]
    assert chips_of("somebody/new-model") == 8


def test_a_key_reaches_the_server_by_its_environment_and_not_by_its_arguments() -> None:
    settings = VLLMServer(python=sys.executable)
    command = server_command(settings, "a/b", "a/b", "", 8000)

    assert server_environment("a/b", "secret-key")["VLLM_API_KEY"] == "secret-key"
    assert not any("key" in argument for argument in command)


def test_an_environment_that_is_not_made_is_named_with_the_fix(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="run `make vllm`"):
        server_command(VLLMServer(python=str(tmp_path / "python")), "a/b", "a/b", "", 8000)


def stand_in_for_vllm(folder: Path) -> Path:
    """A "python" that starts a server which speaks as vLLM does, on the port and with the key that vLLM would get."""
    python = folder / "bin" / "python"
    python.parent.mkdir()
    python.write_text(
        "#!/bin/sh\n"
        'for argument; do case "$argument" in --port=*) port="${argument#--port=}";; esac; done\n'
        f'exec {sys.executable} -m datashop_assets_tests.annotator.hostile_server "$port" 0 0 "$VLLM_API_KEY"\n'
    )
    python.chmod(0o755)
    return python


def server_annotator(folder: Path, restarts: int) -> VLLMServer:
    return VLLMServer(
        python=str(stand_in_for_vllm(folder)),
        start_deadline=30,
        restarts=restarts,
        logs=str(folder / "logs"),
        cache=str(folder),
    )


def kill_server(annotator: VLLMServer) -> None:
    supervisor = annotator._running._child
    assert supervisor is not None
    for one in group_of(supervisor.pid):
        os.kill(one, signal.SIGKILL)


# more than are answered before a kill is noticed
DOCUMENTS = [AnnotationRequest(str(number), f"worth {number % 6}", "made") for number in range(4000)]


def test_a_server_starts_with_the_first_question_comes_back_when_it_is_killed_and_ends_with_close(
    tmp_path: Path,
) -> None:
    said: list[str] = []
    annotator = server_annotator(tmp_path, restarts=1)
    annotator.saying(said.append)
    answers = annotator.answer(DOCUMENTS, QUESTION)
    assert annotator._process is None
    received = [next(answers)]
    kill_server(annotator)
    received += answers

    assert {answer.id: answer.raw for answer in received} == {
        document.id: f"Final score: {int(document.id) % 6}" for document in DOCUMENTS
    }
    assert len(received) == len(DOCUMENTS)
    server = annotator._running
    assert annotator._starts == 2
    assert any("died" in line and line.endswith("start 2") for line in said)
    assert list(annotator.answer(DOCUMENTS[:2], QUESTION))
    assert annotator._running is server  # the next question finds it running
    annotator.close()
    assert not server.running
    assert not annotator.alive()


def test_a_server_that_dies_too_often_fails_what_is_left_with_the_reason(tmp_path: Path) -> None:
    annotator = server_annotator(tmp_path, restarts=0)
    answers = annotator.answer(DOCUMENTS, QUESTION)
    received = [next(answers)]
    kill_server(annotator)
    received += answers

    assert sorted(answer.id for answer in received) == sorted(document.id for document in DOCUMENTS)
    failed = [answer.reason for answer in received if answer.ended is Ended.FAILED]
    assert any("the vLLM server died 1 times; the end of" in reason for reason in failed)
    annotator.close()
