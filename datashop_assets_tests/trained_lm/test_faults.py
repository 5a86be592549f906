"""Runs that are killed, and disks that are full."""

import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from datashop_assets.protocols.trainer import Checkpointing
from datashop_assets.trained_lm.checkpoints import Checkpoints

EVERY_STEP = Checkpointing(seconds=0.0)
KILLS = 20
STEPS = "300"


def test_a_full_disk_while_a_checkpoint_is_written_leaves_the_one_before_whole(tmp_path: Path) -> None:
    state, history = {"weights": jnp.arange(50_000.0)}, np.ones((10, 2), np.float32)
    with Checkpoints(tmp_path / "run", EVERY_STEP) as checkpoints:
        checkpoints.save(state, history, last=False)
        with small_files(2_000), pytest.raises(Exception, match=r"(?i)too large|no space|write"):
            checkpoints.save({"weights": -state["weights"]}, np.zeros((20, 2), np.float32), last=True)
    with Checkpoints(tmp_path / "run", EVERY_STEP) as checkpoints:
        found, told = checkpoints.restore({"weights": jnp.zeros(50_000)})
    np.testing.assert_array_equal(found["weights"], np.arange(50_000.0))
    np.testing.assert_array_equal(told, history)


def test_a_checkpoint_that_could_not_be_written_is_not_called_the_last_good_one(tmp_path: Path) -> None:
    policy = Checkpointing(seconds=0.0, keep=1, asynchronous=True)
    with Checkpoints(tmp_path / "run", policy) as checkpoints:
        checkpoints.save({"weights": jnp.arange(50_000.0)}, np.ones((10, 2), np.float32), last=False)
        assert checkpoints.last.endswith("/run/10")
        with small_files(2_000):
            checkpoints.save({"weights": -jnp.arange(50_000.0)}, np.ones((20, 2), np.float32), last=False)
            assert re.search(r"(?is)/run/10; the one after .* not be written: .*(large|space|write)", checkpoints.last)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_as_many_checkpoints_are_kept_as_were_asked_for(tmp_path: Path, asynchronous: bool) -> None:
    policy = Checkpointing(seconds=0.0, keep=2, asynchronous=asynchronous)
    with Checkpoints(tmp_path / "run", policy) as checkpoints:
        for step in range(1, 5):
            checkpoints.save({"weights": jnp.full(8, step)}, np.ones((step, 2), np.float32), last=True)
    assert sorted(path.name for path in (tmp_path / "run").iterdir() if path.name.isdigit()) == ["3", "4"]
    with Checkpoints(tmp_path / "run", policy) as checkpoints:
        assert checkpoints.restore({"weights": jnp.zeros(8, jnp.int32)})[0]["weights"].tolist() == [4] * 8


@pytest.mark.timeout(120)
def test_seeds_that_save_at_the_same_moment_do_not_wait_for_each_others_files(tmp_path: Path) -> None:
    """Orbax numbers the saves of a process together: two that began at once could wait five minutes, and fail."""
    policy, together = Checkpointing(seconds=0.0, keep=2, asynchronous=True), threading.Barrier(4)

    def train(seed: int) -> list[int]:
        with Checkpoints(tmp_path / f"seed-{seed}", policy) as checkpoints:
            for step in range(1, 9):
                together.wait()
                state = {f"layer {layer}": jnp.full(100, step + seed) for layer in range(20)}
                checkpoints.save(state, np.ones((step, 2), np.float32), last=False)
        with Checkpoints(tmp_path / f"seed-{seed}", policy) as checkpoints:
            found, history = checkpoints.restore({f"layer {layer}": jnp.zeros(100, jnp.int32) for layer in range(20)})
        return [len(history), *{int(value) for leaf in found.values() for value in leaf}]

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(train, range(4))) == [[8, 8 + seed] for seed in range(4)]


@pytest.mark.faults
@pytest.mark.timeout(3600)
def test_a_run_killed_at_twenty_random_moments_has_the_loss_curve_of_one_that_was_not(tmp_path: Path) -> None:
    begun = time.monotonic()
    whole = json.loads(_finished(tmp_path / "whole"))
    seconds = time.monotonic() - begun
    moments, killed = random.Random(0), 0
    while killed < KILLS:
        with _started(tmp_path / "killed") as run:
            try:
                run.wait(moments.uniform(0.3 * seconds, 0.9 * seconds))
            except subprocess.TimeoutExpired:
                run.send_signal(signal.SIGKILL)
                killed += 1
                continue
        assert json.loads(_finished(tmp_path / "killed")) == whole
        shutil.rmtree(tmp_path / "killed")  # what is done cannot be killed: from the beginning
    assert json.loads(_finished(tmp_path / "killed")) == whole


@contextmanager
def small_files(size: int) -> Iterator[None]:
    """No file grows beyond `size` bytes, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def _started(folder: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "datashop_assets_tests.trained_lm.meshes", str(folder), "data=1"]
    environment = {**os.environ, "STEPS": STEPS, "JAX_PLATFORMS": "cpu"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def _finished(folder: Path) -> str:
    with _started(folder) as run:
        out, _ = run.communicate()
    return out.splitlines()[-1]
