"""Child processes that end with this one, however it ends, and take what they have started with them.

Between this process and the command stands `supervisor.py`, which holds the other end of a pipe. The kernel closes
the pipe when this process is gone, after `kill -9` too, and the supervisor then ends the command's process group.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

SUPERVISOR = Path(__file__).with_name("supervisor.py")
GRACE = 10.0  # seconds that a command gets to end by itself


class ChildProcess:
    """`command`, started at once. `output` takes its standard output and error: a file, or `subprocess.PIPE`."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        output: IO[bytes] | int | None = None,
        grace: float = GRACE,
    ) -> None:
        self._grace = grace
        self._supervisor = subprocess.Popen(  # noqa: S603 - a command of ours, or one that settings name
            _supervised(command, grace),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT if output is not None else None,
            env=environment,
            start_new_session=True,  # Ctrl-C reaches this process, which ends the command in its own time
        )

    @property
    def pid(self) -> int:
        """The supervisor's."""
        return self._supervisor.pid

    @property
    def running(self) -> bool:
        return self._supervisor.poll() is None

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._supervisor.poll()

    @property
    def output(self) -> IO[bytes]:
        """What it prints, where that goes into a pipe."""
        assert self._supervisor.stdout is not None
        return self._supervisor.stdout

    def ask_to_stop(self) -> None:
        """Has the command and its children ended, without waiting for it."""
        assert self._supervisor.stdin is not None
        self._supervisor.stdin.close()

    def stop(self) -> None:
        """Ends the command and its children: at once where they obey SIGTERM, after the grace at the latest."""
        self.ask_to_stop()
        try:
            self._supervisor.wait(2 * self._grace)
        except subprocess.TimeoutExpired:
            self._supervisor.kill()
            self._supervisor.wait()


def run_child(
    command: Sequence[str], environment: Mapping[str, str] | None = None, timeout: float | None = None
) -> "subprocess.CompletedProcess[str]":
    """Runs a command to its end and returns its exit code and what it printed, as text.

    Raises `subprocess.TimeoutExpired` after `timeout` seconds; the command is ended then, and whenever this process is.
    """
    reading, writing = os.pipe()  # the writing end is closed when this process ends
    try:
        process = subprocess.Popen(  # noqa: S603 - a command of ours
            _supervised(command, grace=1),
            stdin=reading,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
    finally:
        os.close(reading)
    with process:  # waits for the supervisor, which ends the command once the pipe is closed
        try:
            printed, complained = process.communicate(timeout=timeout)
        finally:
            os.close(writing)
    return subprocess.CompletedProcess(command, process.returncode, printed, complained)


def _supervised(command: Sequence[str], grace: float) -> list[str]:
    return [sys.executable, "-I", str(SUPERVISOR), str(grace), *command]
