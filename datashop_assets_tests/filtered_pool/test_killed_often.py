"""Scoring and filtering, killed at 50 random moments: the same content, and no finished shard is made again."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from datashop_assets.storage.manifest import Manifest
from datashop_assets.storage.stage_writer import RECEIPTS
from datashop_assets_tests.filtered_pool import both_stages
from datashop_assets_tests.resources.ray_cluster import ray_cluster

pytestmark = [pytest.mark.faults, pytest.mark.filterwarnings("ignore")]  # Ray's own

KILLS = 50
SHARDS = 8
Seen = dict[Path, tuple[int, int]]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("killed")
    both_stages.prepare(root, SHARDS)
    return root


class Run:
    """A process that makes both stages again and again, each time in a process of its own."""

    def __init__(self, root: Path, compute: str) -> None:
        command = [sys.executable, "-m", both_stages.__name__, str(root), compute]
        self.server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def begin(self, name: str) -> int:
        """The number of the process that has begun."""
        assert self.server.stdin is not None
        print(name, file=self.server.stdin)
        return self._number()

    def end(self) -> int:
        """Its exit code, once it has ended."""
        return self._number()

    def _number(self) -> int:
        assert self.server.stdout is not None
        return int(self.server.stdout.readline())


@contextmanager
def run(root: Path, compute: str) -> Iterator[Run]:
    started = Run(root, compute)
    yield started
    assert started.server.stdin is not None
    assert started.server.stdout is not None
    started.server.stdin.close()
    started.server.wait()
    started.server.stdout.close()


def finished(place: Path) -> Seen:
    """Every file that has a receipt: which file it is, and when it was written."""
    receipts = (receipt.relative_to(place) for receipt in place.glob(f"stages/*/*/{RECEIPTS}/**/*.json"))
    files = (place / str(receipt).replace(f"{RECEIPTS}/", "").removesuffix(".json") for receipt in receipts)
    return {file: (file.stat().st_ino, file.stat().st_mtime_ns) for file in files if file.exists()}


def manifests(place: Path) -> dict[str, Manifest]:
    found = sorted(place.glob("stages/*/*/manifest.json"))
    return {file.parts[-3]: Manifest.model_validate_json(file.read_bytes()) for file in found}


def contents(place: Path) -> dict[str, str]:
    return {name: manifest.content_digest for name, manifest in manifests(place).items()}


def killed_often(root: Path, compute: str) -> int:
    """Kills runs at moments drawn evenly from a whole run's time, `KILLS` times. Returns how often they ended."""
    moments, kills, ended = random.Random(compute == both_stages.PROCESSES), 0, 0
    with run(root, compute) as both:
        started = time.monotonic()
        both.begin("whole")
        assert both.end() == 0
        whole, place, seen = time.monotonic() - started, root / f"killed-{compute[:4]}", Seen()
        while kills < KILLS:
            process = both.begin(place.name)
            time.sleep(moments.uniform(0, whole))
            os.kill(process, signal.SIGKILL)
            killed = both.end() == -signal.SIGKILL
            kills += killed
            assert {file: finished(place)[file] for file in seen if file in finished(place)}.items() <= seen.items()
            seen = finished(place)
            if not killed or kills == KILLS:
                both.begin(place.name)
                assert both.end() == 0
                assert contents(place) == contents(root / "whole")
                assert not list(place.glob("stages/**/.*"))
                shutil.rmtree(place)
                seen, ended = Seen(), ended + 1
    print(f"{compute}: {kills} kills, {ended} times to the end, {whole:.1f} s a whole run")
    return ended


def test_in_local_processes(root: Path) -> None:
    assert killed_often(root, both_stages.PROCESSES) > 1


def test_on_ray(root: Path, tmp_path: Path) -> None:
    with ray_cluster(tmp_path / "log") as head:
        assert killed_often(root, head.address) > 1
