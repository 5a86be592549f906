"""A Ray cluster on this machine does what processes do, and does a shard again whose worker was lost."""

import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from datashop_assets_tests.conftest import free_port
from datashop_assets_tests.resources.ray_cluster import ray_cluster
from resources.compute import LocalCompute, RayCompute, _result

pytestmark = [
    pytest.mark.faults,
    pytest.mark.filterwarnings("ignore"),  # Ray's own
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ray_cluster(tmp_path_factory.mktemp("ray") / "log") as head:
        yield head.address


def square(number: int) -> int:
    return number * number


def times(number: int, by: int) -> int:
    return number * by


def refuse(number: int) -> int:
    raise ValueError(f"shard {number} has no documents")


def die_once(mark: str) -> int:
    """As a preempted machine would: without a word, and not a second time. Returns the process that did the work."""
    if not Path(mark).exists():
        Path(mark).write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def die_always(_: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def test_a_cluster_that_is_not_there_is_named() -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    with pytest.raises(ConnectionError, match=f"no Ray cluster answers at '{nowhere}'.*unset RAY_ADDRESS"):
        list(RayCompute(address=nowhere).map(square, [1]))


def test_results_are_those_of_local_processes(cluster: str) -> None:
    assert sorted(RayCompute(address=cluster).map(square, range(40))) == sorted(LocalCompute().map(square, range(40)))


def test_a_function_may_have_arguments_bound_to_it(cluster: str) -> None:
    assert sorted(RayCompute(address=cluster).map(partial(pow, exp=3), range(4))) == [0, 1, 8, 27]
    assert sorted(RayCompute(address=cluster).map(partial(times, by=3), range(4))) == [0, 3, 6, 9]


def test_what_a_shard_raises_comes_back_as_it_was(cluster: str) -> None:
    with pytest.raises(ValueError, match="shard 3 has no documents"):
        list(RayCompute(address=cluster).map(refuse, [3]))


def test_a_shard_whose_worker_was_lost_is_done_again_by_another(cluster: str, tmp_path: Path) -> None:
    [done_by] = RayCompute(address=cluster).map(die_once, [str(tmp_path / "mark")])
    assert done_by != int((tmp_path / "mark").read_text())


def test_a_shard_that_kills_every_worker_is_an_error_that_says_what_to_do(cluster: str, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"tried 2 times .*give workers more\. Run again: finished"):
        list(RayCompute(address=cluster, retries=1).map(die_always, [1]))


@pytest.mark.parametrize("lost", ["NodeDiedError", "OutOfMemoryError", "LocalRayletDiedError", "ObjectLostError"])
def test_whatever_a_shard_is_lost_by_says_what_to_do(lost: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that dies cannot be had on one machine: these are what Ray would raise."""
    import ray

    kind = getattr(ray.exceptions, lost)
    error = kind("id", "", "") if lost == "ObjectLostError" else kind("its memory was needed")

    def get(task: object) -> object:
        raise error

    monkeypatch.setattr("ray.get", get)
    with pytest.raises(RuntimeError, match=f"(?s){lost}.*Run again: finished shards are kept"):
        _result(None, 10)
