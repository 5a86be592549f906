"""A Ray cluster of two cores on this machine, whose parts speak over loopback."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from datashop_assets_tests.conftest import free_port, wait_for

RAY = Path(sys.executable).with_name("ray")
HOST = "127.0.0.2"  # Ray takes 127.0.0.1 for the machine's own address, and would listen to the network
STARTS = 120.0  # seconds
DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG


@dataclass
class Head:
    """A head node that does the work too. It can be killed, and started again at the same address."""

    log: Path
    with_dashboard: bool = False  # which takes orders, as of `serve deploy`
    port: int = field(default_factory=free_port)
    dashboard: int = field(default_factory=free_port)
    client_port: int = field(default_factory=free_port)

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def client_address(self) -> str:
        """For who is no node of the cluster, as Dagster's steps are not."""
        return f"ray://{HOST}:{self.client_port}"

    def start(self) -> None:
        command = [
            str(RAY), "start", "--head", "--block", f"--node-ip-address={HOST}", f"--port={self.port}",
            f"--ray-client-server-port={self.client_port}", "--num-cpus=2", "--disable-usage-stats",
            "--object-store-memory=100000000", f"--include-dashboard={str(self.with_dashboard).lower()}",
            f"--dashboard-host={HOST}", f"--dashboard-port={self.dashboard}",
            f"--dashboard-agent-listen-port={free_port()}",
        ]  # fmt: skip
        with self.log.open("ab") as file:
            self._process = subprocess.Popen(
                command, stdout=file, stderr=file, start_new_session=True, preexec_fn=die_with_parent
            )
        for port in [self.port, self.client_port, *([self.dashboard] if self.with_dashboard else [])]:
            wait_for(port, STARTS, HOST)

    def working(self) -> dict[int, str]:
        """Process -> what it works on, as Ray names its workers: `ray::` and the function, or the actor's method."""
        return {process: title for process in below(self._process.pid) if works(title := title_of(process))}

    def stop(self, by: signal.Signals = signal.SIGTERM) -> None:
        """Ends it with all that it started: a killed head is followed by its processes."""
        self._process.send_signal(by)
        self._process.wait(60)


def below(process: int) -> Iterator[int]:
    """All processes that it started, and that these started."""
    for threads in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):  # it has ended
            for child in map(int, threads.read_text().split()):
                yield child
                yield from below(child)


def title_of(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().rstrip(b"\0").decode(errors="replace")
    except OSError:  # it has ended
        return ""


def works(title: str) -> bool:
    """Ray's own agents have such a title too; a node ends with them."""
    return title.startswith("ray::") and not title.startswith("ray::IDLE") and not title.endswith("Agent")


@contextmanager
def losing_a_worker(head: Head, on: str, when: Callable[[], bool] = lambda: True) -> Iterator[list[str]]:
    """While the block runs, the first worker is killed that works on what has `on` in its name, as a preempted machine
    would be lost, once `when` is true. Yields a list that then holds what it worked on.
    """
    lost: list[str] = []
    over = threading.Event()

    def look() -> None:
        while not (lost or over.wait(0.002)):
            for process, title in head.working().items():
                if on in title and not lost and when() and _killed_at_work(process, title):
                    lost.append(title)

    watching = threading.Thread(target=look, daemon=True)
    watching.start()
    try:
        yield lost
    finally:
        over.set()
        watching.join()


def _killed_at_work(process: int, title: str) -> bool:
    """Stops it first, so that it cannot end its work between the look and the kill."""
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGSTOP)
        if title_of(process) == title:
            os.kill(process, signal.SIGKILL)
            return True
        os.kill(process, signal.SIGCONT)
    return False


def die_with_parent() -> None:
    """No cluster is left where a test run is killed."""
    ctypes.CDLL(None).prctl(DEATH_SIGNAL, signal.SIGTERM)


@contextmanager
def ray_cluster(log: Path, with_dashboard: bool = False) -> Iterator[Head]:
    """It ends when the block does, and this process leaves it."""
    import ray

    head = Head(log, with_dashboard)
    head.start()
    try:
        yield head
    finally:
        ray.shutdown()
        head.stop()
