"""Work over shards: all of it is done, here or in processes, and a process that dies is named."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from resources.compute import LocalCompute, cores


def process_and_square(number: int) -> tuple[int, int]:
    return os.getpid(), number * number


def slow_square(number: int) -> tuple[int, int]:
    time.sleep(0.05)
    return process_and_square(number)


def refuse(number: int) -> int:
    raise ValueError(f"no {number}")


def die_elsewhere(parent: int) -> int:
    if os.getpid() != parent:
        os._exit(9)
    time.sleep(0.01)
    return parent


def test_short_work_stays_in_this_process() -> None:
    results = list(LocalCompute(processes=2).map(process_and_square, range(5)))
    assert results == [(os.getpid(), n * n) for n in range(5)]


def test_long_work_is_spread_and_nothing_is_lost() -> None:
    results = list(LocalCompute(processes=2, worth_it=0.01).map(slow_square, range(6)))
    assert sorted(square for _, square in results) == [n * n for n in range(6)]
    assert {process for process, _ in results} - {os.getpid()}


def test_processes_wait_for_the_next_work() -> None:
    compute = LocalCompute(processes=2, worth_it=0.0)
    first, second = ({process for process, _ in compute.map(slow_square, range(4))} for _ in range(2))
    assert os.getpid() not in first
    assert first == second


def test_work_that_nobody_waits_for_is_ended() -> None:
    compute = LocalCompute(processes=2, worth_it=0.0)
    left = compute.map(slow_square, range(100))
    process, _ = next(left)
    left.close()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


UNGUARDED = """
from datashop_assets_tests.resources.test_compute import slow_square
from resources.compute import LocalCompute
print(sorted(square for _, square in LocalCompute(processes=2, worth_it=0.01).map(slow_square, range(6))))
"""


def test_a_script_without_a_main_guard_is_run_once(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(UNGUARDED)
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "[0, 1, 4, 9, 16, 25]\n"


def test_nothing_to_do_is_nothing_done() -> None:
    assert list(LocalCompute(processes=2).map(process_and_square, [])) == []


def test_what_the_function_raises_is_raised() -> None:
    with pytest.raises(ValueError, match="no 1"):
        list(LocalCompute().map(refuse, [1, 2]))


def test_a_process_that_dies_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(RuntimeError, match="set DATASHOP_PROCESSES to less than 2"):
        list(LocalCompute(processes=2, worth_it=0.001).map(die_elsewhere, [os.getpid()] * 4))


KILLED = """
import sys
from datashop_assets_tests.resources.test_compute import name_and_sleep
from resources.compute import LocalCompute
list(LocalCompute(processes=2, worth_it=0.0).map(name_and_sleep, [sys.argv[1]] * 2))
"""


def name_and_sleep(folder: str) -> None:
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(60)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux ends them")
def test_the_workers_of_a_killed_run_end_with_it(tmp_path: Path) -> None:
    run = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)])
    while len(workers := list(tmp_path.iterdir())) < 2 and run.poll() is None:
        time.sleep(0.05)
    run.kill()
    run.wait()
    end = time.monotonic() + 10
    while (alive := [one for one in workers if Path(f"/proc/{one.name}").exists()]) and time.monotonic() < end:
        time.sleep(0.05)
    assert len(workers) == 2
    assert not alive


def test_there_is_a_process_a_core_where_nobody_says() -> None:
    assert LocalCompute().workers == cores()
    assert LocalCompute(processes=3).workers == 3


def test_a_worker_process_imports_no_dagster() -> None:
    """It would take 2.4 s and 100 MB of each."""
    said = subprocess.run(
        [sys.executable, "-c", "import sys, resources.workers; print('dagster' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == "False\n"
