"""Child processes, and theirs, end with the process that started them: on every signal, `kill -9` included."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from datashop_assets.processes.child import ChildProcess, run_child

# A command with a child of its own, which ignores what can be ignored.
STUBBORN = (
    "import signal, time; [signal.signal(s, signal.SIG_IGN) for s in (1, 2, 15)]; "
    "print('up', flush=True); time.sleep(600)"
)
WITH_CHILD = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {STUBBORN!r}]); time.sleep(600)"
PARENT = """
import subprocess, sys
from datashop_assets.processes.child import ChildProcess, run_child
if sys.argv[1] == "child":
    process = ChildProcess([sys.executable, "-c", sys.argv[2]], grace=1)
    print("started", flush=True)
    __import__("time").sleep(600)
else:
    print("started", flush=True)
    run_child([sys.executable, "-c", sys.argv[2]])
"""


def below(process: int) -> list[int]:
    listed = subprocess.run(["pgrep", "-P", str(process)], capture_output=True, text=True, check=False).stdout.split()
    return [int(one) for one in listed] + [child for one in listed for child in below(int(one))]


def running(process: int) -> bool:
    status = Path(f"/proc/{process}/stat")
    return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def eventually(what: object, seconds: float = 30) -> bool:
    end = time.monotonic() + seconds
    while not what():  # type: ignore[operator]
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


@pytest.mark.parametrize("how", ["child", "run"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGABRT])
def test_all_that_a_process_started_ends_with_it(how: str, number: signal.Signals) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, how, WITH_CHILD], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert parent.stdout is not None
    parent.stdout.readline()
    assert eventually(lambda: len(below(parent.pid)) == 3)  # supervisor, command, its child
    processes = below(parent.pid)
    time.sleep(0.5)  # until their handlers are in place
    parent.send_signal(number)
    parent.wait(30)
    parent.stdout.close()
    assert eventually(lambda: not any(map(running, processes)))


def test_a_killed_supervisor_takes_its_command_with_it() -> None:
    child = ChildProcess([sys.executable, "-c", "import time; time.sleep(600)"], grace=1)
    assert eventually(lambda: len(below(child.pid)) == 1)
    (command,) = below(child.pid)
    time.sleep(0.5)
    os.kill(child.pid, signal.SIGKILL)
    assert eventually(lambda: not running(command))
    child.stop()


def test_a_command_that_ignores_signals_is_ended_after_its_grace() -> None:
    child = ChildProcess([sys.executable, "-c", STUBBORN], output=subprocess.PIPE, grace=1)
    assert child.output.readline() == b"up\n"
    began = time.monotonic()
    child.stop()
    child.output.close()
    assert not child.running
    assert 0.9 < time.monotonic() - began < 20


def test_what_a_command_prints_and_its_exit_code_are_returned() -> None:
    done = run_child([sys.executable, "-c", "import sys; print('out'); print('err', file=sys.stderr); sys.exit(7)"])
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "err\n")


def test_a_command_without_end_is_ended_at_its_deadline() -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        run_child([sys.executable, "-c", "import time; time.sleep(600)"], timeout=1)


def test_a_command_of_a_background_job_obeys_signals() -> None:
    """A shell has them ignored there, and what Dagster's services do with SIGTERM follows from SIGINT."""
    asks = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    script = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "from datashop_assets.processes.child import run_child\n"
        f"print(run_child([sys.executable, '-c', {asks!r}]).stdout)"
    )
    assert "True" in subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
