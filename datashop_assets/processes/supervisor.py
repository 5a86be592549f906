"""Runs a command, and ends it and all its children when the process that started this is gone, `kill -9` included.

    python supervisor.py GRACE COMMAND...

The command gets GRACE seconds to end by itself. Standard input is a pipe that nobody writes to: it ends with the
process on its other side. A death signal of the kernel's (PR_SET_PDEATHSIG) alone would not do: it comes when the
*thread* that started the server ends, and reaches no grandchildren. The command gets one all the same, for the case
that this process is killed. Only the standard library: it runs in any environment.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import time

POLL_INTERVAL = 0.2  # seconds between looks at the command
PR_SET_PDEATHSIG = 1


def main(grace: float, command: list[str]) -> int:
    """The command's exit code; negative for a signal, as subprocess has it."""
    signals = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: signals.append(True))
    child = subprocess.Popen(  # noqa: S603, the command is the project's own
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_begin,  # noqa: PLW1509, there is one thread
    )
    while child.poll() is None and not signals and not _input_has_ended():
        pass
    _end_group(child, grace)
    return child.wait()


def _begin() -> None:
    """A shell's background job ignores SIGINT, and Dagster's services then ignore SIGTERM too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _input_has_ended() -> bool:
    """Waits up to `POLL_INTERVAL` for it."""
    ready, _, _ = select.select([0], [], [], POLL_INTERVAL)
    return bool(ready) and not os.read(0, 4096)


def _end_group(child: "subprocess.Popen[bytes]", grace: float) -> None:
    """The command's children too, also where it is dead itself: an engine without its server holds the accelerator."""
    _signal_group(child.pid, signal.SIGTERM)
    end = time.monotonic() + grace
    while _signal_group(child.pid, 0) and time.monotonic() < end:
        child.poll()
        time.sleep(POLL_INTERVAL / 4)
    _signal_group(child.pid, signal.SIGKILL)


def _signal_group(group: int, number: int) -> bool:
    """Whether a process was left to receive it."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]) % 256)
