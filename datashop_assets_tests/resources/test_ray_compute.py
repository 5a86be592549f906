"""A Ray cluster on this machine does what processes do, and does a shard again whose worker was lost."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from datashop_assets_tests.resources.ray_cluster import ray_cluster
from resources.compute import LocalCompute, default_compute
from resources.ray_compute import RayCompute

pytestmark = [
    pytest.mark.faults,
    pytest.mark.filterwarnings("ignore"),  # Ray's own
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ray_cluster(tmp_path_factory.mktemp("ray") / "log") as address:
        yield address


def square(number: int) -> int:
    return number * number


def refuse(number: int) -> int:
    raise ValueError(f"shard {number} has no documents")


def die_once(mark: str) -> int:
    """As a preempted machine would: without a word, and not a second time."""
    if not Path(mark).exists():
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return 7


def test_results_are_those_of_local_processes(cluster: str) -> None:
    assert sorted(RayCompute(cluster).map(square, range(40))) == sorted(LocalCompute().map(square, range(40)))


def test_what_a_shard_raises_comes_back_as_it_was(cluster: str) -> None:
    with pytest.raises(ValueError, match="shard 3 has no documents"):
        list(RayCompute(cluster).map(refuse, [3]))


def test_a_shard_whose_worker_was_lost_is_done_again(cluster: str, tmp_path: Path) -> None:
    assert list(RayCompute(cluster).map(die_once, [str(tmp_path / "mark")])) == [7]


def test_a_cluster_is_taken_where_it_is_named(cluster: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(default_compute(), LocalCompute)
    monkeypatch.setenv("RAY_ADDRESS", cluster)
    assert default_compute() == RayCompute(cluster)
