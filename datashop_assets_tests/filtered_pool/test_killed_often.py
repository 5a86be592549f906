"""Scoring and filtering, killed at 50 random moments: the same content, and no finished shard is made again.

With local processes and on a Ray cluster, which gives the same manifest too.
"""

import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from datashop_assets_tests.filtered_pool.both_stages import PROCESSES
from datashop_assets_tests.filtered_pool.runs import Runs, Seen, contents, finished, manifests, runs
from datashop_assets_tests.resources.ray_cluster import ray_cluster

pytestmark = [pytest.mark.faults, pytest.mark.filterwarnings("ignore")]  # Ray's own

PARTS, KILLS = 5, 10  # half of them at a random time, half when a random number of files is there
FILES = 56  # at most: 8 shards of scores, then 8 of tokens, attributes and documents each, with a receipt each
NOTHING: Seen = {}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ray_cluster(tmp_path_factory.mktemp("ray") / "log") as head:
        yield head.address


def killed_often(root: Path, both: Runs, whole: dict[str, str], part: int) -> str:
    """Kills runs `KILLS` times, each of them often, at moments that are drawn. Says how it went."""
    both.whole("first")
    started = time.monotonic()
    both.whole("second")
    seconds = time.monotonic() - started
    draw, place, seen, kills, ended = random.Random(part), root / "killed", NOTHING, 0, 0
    while kills < KILLS:
        process = both.begin(place.name)
        if kills % 2:
            time.sleep(draw.uniform(0, seconds))
        else:
            wait_for_files(place, draw.randrange(FILES), process)
        with suppress(ProcessLookupError):  # it has ended
            os.kill(process, signal.SIGKILL)
        killed = both.end() == -signal.SIGKILL
        kills, seen = kills + killed, kept(seen, finished(place))
        if not killed or kills == KILLS:
            both.whole(place.name)
            assert contents(place) == whole
            assert not list(place.glob("stages/**/.*"))
            shutil.rmtree(place)
            seen, ended = NOTHING, ended + 1
    return f"{kills} kills, {ended} times to the end, {seconds:.1f} s a run that is not killed"


def wait_for_files(place: Path, files: int, process: int) -> None:
    """Until so many are there, of shards and receipts, or the process has ended."""
    while sum(1 for _ in place.glob("stages/**/part-*")) < files and Path(f"/proc/{process}").exists():
        time.sleep(0.001)


def kept(before: Seen, now: Seen) -> Seen:
    """What is finished now. What was finished before is the same file, unless its stage is done and has no receipts."""
    assert {file: now[file] for file in before if file in now}.items() <= before.items()
    return now


@pytest.mark.parametrize("part", range(PARTS))
def test_in_local_processes(both_root: Path, whole: dict[str, str], part: int) -> None:
    with runs(both_root) as both:
        print(killed_often(both_root, both, whole, part))


@pytest.mark.parametrize("part", range(PARTS))
def test_on_ray(both_root: Path, whole: dict[str, str], cluster: str, part: int) -> None:
    with runs(both_root, cluster) as both:
        print(killed_often(both_root, both, whole, part))


def test_ray_makes_the_same_manifests(both_root: Path, cluster: str) -> None:
    for name, compute in (("local", PROCESSES), ("ray", cluster)):
        with runs(both_root, compute) as both:
            both.whole(name)
    local, ray = said(both_root / "local"), said(both_root / "ray")
    assert len(local) == 2
    assert local == ray


def said(place: Path) -> dict[str, dict[str, Any]]:
    """All that the manifests say but for when and how long."""
    found = manifests(place)
    return {name: manifest.model_dump(exclude={"seconds", "finished_at"}) for name, manifest in found.items()}
