"""Scoring and filtering, killed at 50 random moments: the same content, and no finished shard is made again.

With local processes and on a Ray cluster, which gives the same manifest too.
"""

import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from datashop_assets_tests.filtered_pool.both_stages import PROCESSES
from datashop_assets_tests.filtered_pool.runs import Runs, Seen, contents, finished, manifests, runs
from datashop_assets_tests.resources.ray_cluster import ray_cluster

pytestmark = [pytest.mark.faults, pytest.mark.filterwarnings("ignore")]  # Ray's own

KILLS = 50
NOTHING: Seen = {}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ray_cluster(tmp_path_factory.mktemp("ray") / "log") as head:
        yield head.address


def killed_often(root: Path, both: Runs) -> str:
    """Kills runs at moments drawn evenly from a whole run's time, `KILLS` times. Says how it went."""
    both.whole("first")  # what is compiled and cached once
    started = time.monotonic()
    both.whole("whole")
    seconds = time.monotonic() - started
    moments, place, seen, kills, ended = random.Random(0), root / "killed", NOTHING, 0, 0
    while kills < KILLS:
        process = both.begin(place.name)
        time.sleep(moments.uniform(0, seconds))
        os.kill(process, signal.SIGKILL)
        killed = both.end() == -signal.SIGKILL
        kills, seen = kills + killed, kept(seen, finished(place))
        if not killed or kills == KILLS:
            both.whole(place.name)
            assert contents(place) == contents(root / "whole")
            assert not list(place.glob("stages/**/.*"))
            shutil.rmtree(place)
            seen, ended = NOTHING, ended + 1
    return f"{kills} kills, {ended} times to the end, {seconds:.1f} s a run that is not killed"


def kept(before: Seen, now: Seen) -> Seen:
    """What is finished now. What was finished before is the same file, unless its stage is done and has no receipts."""
    assert {file: now[file] for file in before if file in now}.items() <= before.items()
    return now


def test_in_local_processes(both_root: Path) -> None:
    with runs(both_root) as both:
        print(killed_often(both_root, both))


def test_on_ray(both_root: Path, cluster: str) -> None:
    with runs(both_root, cluster) as both:
        print(killed_often(both_root, both))


def test_ray_makes_the_same_manifests(both_root: Path, cluster: str) -> None:
    for compute in (PROCESSES, cluster):
        with runs(both_root, compute) as both:
            both.whole(f"by-{compute[:4]}")
    local, ray = (said(both_root / f"by-{compute[:4]}") for compute in (PROCESSES, cluster))
    assert len(local) == 2
    assert local == ray


def said(place: Path) -> dict[str, dict[str, Any]]:
    """All that the manifests say but for when and how long."""
    found = manifests(place)
    return {name: manifest.model_dump(exclude={"seconds", "finished_at"}) for name, manifest in found.items()}
