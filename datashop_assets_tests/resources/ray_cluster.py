"""A Ray cluster of two cores on this machine, on loopback alone."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from datashop_assets_tests.conftest import free_port, wait_for

RAY = Path(sys.executable).with_name("ray")
STARTS = 120.0  # seconds


@contextmanager
def ray_cluster(log: Path) -> Iterator[str]:
    """Yields its address. It ends with its head process, when the block does."""
    import ray

    port = free_port()
    command = [
        str(RAY), "start", "--head", "--block", "--node-ip-address=127.0.0.1", f"--port={port}", "--num-cpus=2",
        "--include-dashboard=false", "--disable-usage-stats", "--object-store-memory=100000000",
    ]  # fmt: skip
    with log.open("wb") as file:
        head = subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True)
    try:
        wait_for(port, STARTS)
        yield f"127.0.0.1:{port}"
    finally:
        ray.shutdown()
        head.send_signal(signal.SIGTERM)
        head.wait(60)
