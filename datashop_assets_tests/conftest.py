"""What all tests share: a real bucket server, and no environment of the person who runs them."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# Before gcsfs is imported: the emulator has no hierarchical namespaces.
os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"
# Under `nohup`, or in a shell's background, these are ignored, and so they would be by all that the tests start.
if threading.current_thread() is threading.main_thread():  # and not where a worker of Ray reads a test's module
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
for name in ("DATASHOP_ROOT", "DATASHOP_PROMPTS", "DAGSTER_HOME"):
    os.environ.pop(name, None)


LONGEST_FIRST = ("graph", "commands", "annotations", "orchestration")

# Examples are judged by what they show, not by how long a shared machine takes for them.
settings.register_profile("shared machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared machine")


class PackageScheduling(LoadScopeScheduling):
    """The tests of a package run in one process, one after the other, and share what was made for them.

    `--dist loadgroup` would do that too, with a mark on each test; pytest 9 hides the mark from pytest-xdist 3.8.
    """

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.split("::", maxsplit=1)[0].rpartition("/")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> PackageScheduling:
    config.option.loadscopereorder = False  # keeps the order of `pytest_collection_modifyitems`
    return PackageScheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Packages that take minutes come first, so that no process waits at the end for the other."""
    place = {package: number for number, package in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: place.get(item.path.parent.name, len(place)))


@pytest.fixture(scope="session")
def gcs_bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`gs://` URI of a bucket on a storage server on this machine, spoken to by the real gcsfs."""
    port = free_port()
    log = (tmp_path_factory.mktemp("gcs") / "log").open("wb")
    command = [sys.executable, "-m", "datashop_assets_tests.storage.bucket_server", "start", "--host=127.0.0.1",
               f"--port={port}", "--in-memory", "--default-bucket=tests"]  # fmt: skip
    server = subprocess.Popen(command, stdout=log, stderr=log)
    os.environ["STORAGE_EMULATOR_HOST"] = f"http://127.0.0.1:{port}"
    try:
        wait_for(port)
        yield "gs://tests"
    finally:
        del os.environ["STORAGE_EMULATOR_HOST"]
        server.kill()
        server.wait()
        log.close()


@pytest.fixture(scope="session")
def s3_bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`s3://` URI of a bucket on a storage server on this machine, spoken to by the real s3fs."""
    port = free_port()
    log = (tmp_path_factory.mktemp("s3") / "log").open("wb")
    command = [Path(sys.executable).with_name("moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=log, stderr=log)
    settings = {
        "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "tests",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    before = {name: os.environ.get(name) for name in settings}
    os.environ |= settings
    try:
        wait_for(port)
        import s3fs

        s3fs.S3FileSystem().mkdir("tests")
        yield "s3://tests"
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        server.kill()
        server.wait()
        log.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, seconds: float = 30, host: str = "127.0.0.1") -> None:
    """Until something listens there. Raises `OSError` after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((host, port), timeout=1).close()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
        else:
            return
