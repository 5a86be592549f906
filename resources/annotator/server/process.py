"""A server process on this machine: started, watched until it is healthy, stopped surely."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

GUARDIAN = Path(__file__).with_name("guardian.py")
SAY_EVERY = 10.0  # seconds
LOOK_EVERY = 0.25
TAIL = 25  # lines of the log in an error
GRACE = 10.0  # seconds that a server gets to end in peace
STOPPING = 2 * GRACE  # that the guardian gets


class ServerProcess:
    """`command` listens on `port` of 127.0.0.1 and answers `/health`. What it says goes to the end of `log`."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], port: int, log: Path) -> None:
        self.port, self.log = port, log
        self._command, self._environment = list(command), dict(environment)
        self._guardian: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._guardian is not None and self._guardian.poll() is None

    def start(self) -> None:
        self.stop()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._guardian = subprocess.Popen(  # noqa: S603, a command that settings name
                [sys.executable, "-I", str(GUARDIAN), str(GRACE), *self._command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,  # Ctrl-C reaches this process, which stops the server in its own time
            )

    def wait(self, deadline: float, say: Callable[[str], object]) -> None:
        """Returns when it is healthy. Raises `RuntimeError` with the log's end where it dies or `deadline` passes."""
        began = said = time.monotonic()
        while not self.healthy():
            waited = time.monotonic() - began
            if not self.running or waited > deadline:
                why = f"was not healthy after {waited:.0f} s" if self.running else "ended before it was healthy"
                self.stop()
                raise RuntimeError(f"the vLLM server {why}. The end of {self.log}:\n{self.tail()}")
            if time.monotonic() - said >= SAY_EVERY:
                said = time.monotonic()
                say(
                    f"vLLM server: not healthy yet after {waited:.0f} of at most {deadline:.0f} s ({self.last_words()})"
                )
            time.sleep(LOOK_EVERY)
        say(f"vLLM server: healthy after {time.monotonic() - began:.0f} s")

    def healthy(self) -> bool:
        if not self.running:
            return False
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def stop(self) -> None:
        """Ends the server and its children. Nothing happens where there is none."""
        guardian, self._guardian = self._guardian, None
        if guardian is None:
            return
        assert guardian.stdin is not None
        guardian.stdin.close()
        try:
            guardian.wait(STOPPING)
        except subprocess.TimeoutExpired:
            guardian.kill()
            guardian.wait()

    def tail(self) -> str:
        return "\n".join(self._lines()[-TAIL:])

    def last_words(self) -> str:
        lines = [line for line in self._lines() if line.strip()]
        return lines[-1].strip()[:120] if lines else "its log is empty"

    def _lines(self) -> list[str]:
        if not self.log.exists():
            return []
        with self.log.open("rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - 64 * 1024))
            return log.read().decode("utf-8", "replace").splitlines()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
