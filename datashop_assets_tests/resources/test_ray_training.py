"""A training job on a Ray cluster learns what this process learns."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jax.tree_util import tree_leaves as leaves

from datashop_assets.protocols.trainer import Checkpointing
from datashop_assets.trained_lm.training import train_seeds
from datashop_assets_tests.resources.ray_cluster import Head, losing_a_worker, ray_cluster
from datashop_assets_tests.trained_lm.meshes import SETTINGS, VOCABULARY, rows
from resources.trainers import LocalTrainer, RayTrainer

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900), pytest.mark.filterwarnings("ignore")]  # Ray's own


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    with ray_cluster(tmp_path_factory.mktemp("ray") / "log") as head:
        yield head


def arguments(scratch: Path, told: list[float]) -> dict[str, Any]:
    return {
        "rows": [rows],
        "config": SETTINGS.llama(VOCABULARY),
        "settings": SETTINGS,
        "scratch": scratch,
        "advance": told.append,
        "checkpointing": Checkpointing(seconds=0.0, keep=2, asynchronous=True),
    }


def test_the_loss_curve_is_that_of_this_process(
    cluster: Head, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "datashop")
    told: list[float] = []
    trainer = RayTrainer(address=cluster.address, checkpoints=str(tmp_path / "checkpoints"))
    [there] = trainer.run(train_seeds, **arguments(tmp_path / "stage" / "digest", told))
    [here] = LocalTrainer().run(train_seeds, **arguments(tmp_path / "here", []))
    np.testing.assert_array_equal(there.history[:, 0], here.history[:, 0])
    assert sum(told) == SETTINGS.steps
    assert any(line.startswith("worker 0: seed 0: step 20 of 20, loss ") for line in caplog.messages)
    assert list((tmp_path / "checkpoints" / "stage" / "digest").glob("seed-0-*/20"))


def test_two_workers_share_a_model_as_hosts_of_a_slice_do(
    cluster: Head, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "datashop")
    trainer = RayTrainer(address=cluster.address, checkpoints=str(tmp_path / "checkpoints"), workers=2, mesh="fsdp=2")
    told: list[float] = []
    [there] = trainer.run(train_seeds, **arguments(tmp_path / "stage" / "digest", told), mesh=trainer.mesh)
    [here] = LocalTrainer().run(train_seeds, **arguments(tmp_path / "here", []))
    np.testing.assert_allclose(there.history[:, 0], here.history[:, 0], rtol=2e-4)
    assert all(a.shape == b.shape for a, b in zip(leaves(there.weights), leaves(here.weights), strict=True))
    assert sum(told) == SETTINGS.steps
    assert not [line for line in caplog.messages if line.startswith("worker 1")]


def test_a_worker_that_is_lost_takes_no_step_with_it(cluster: Head, tmp_path: Path) -> None:
    trainer = RayTrainer(address=cluster.address, checkpoints=str(tmp_path / "checkpoints"), workers=2, mesh="fsdp=2")
    place = tmp_path / "checkpoints" / "stage" / "digest"
    with losing_a_worker(cluster, "RayTrainWorker", lambda: any(place.glob("seed-0-*/10"))) as lost:
        [there] = trainer.run(train_seeds, **arguments(tmp_path / "stage" / "digest", []), mesh=trainer.mesh)
    whole = RayTrainer(address=cluster.address, checkpoints=str(tmp_path / "others"), workers=2, mesh="fsdp=2")
    [one] = whole.run(train_seeds, **arguments(tmp_path / "stage" / "digest", []), mesh=trainer.mesh)
    assert lost
    np.testing.assert_array_equal(there.history[:, 0], one.history[:, 0])
    assert there.steps < one.steps


def test_workers_outside_the_mesh_are_refused(cluster: Head, tmp_path: Path) -> None:
    trainer = RayTrainer(address=cluster.address, checkpoints=str(tmp_path / "checkpoints"), workers=2)
    with pytest.raises(ValueError, match=r"2 workers have 2 devices together, and the mesh is over 1; .*fsdp=2"):
        trainer.run(train_seeds, **arguments(tmp_path / "stage" / "digest", []))


def refuses(**arguments: Any) -> None:
    raise ValueError("training.batch is wrong; make it a multiple of 8")


def test_what_the_loop_refuses_is_told_and_not_tried_again(cluster: Head, tmp_path: Path) -> None:
    trainer = RayTrainer(address=cluster.address, checkpoints=str(tmp_path / "checkpoints"))
    with pytest.raises(ValueError, match="make it a multiple of 8"):
        trainer.run(refuses, **arguments(tmp_path / "stage" / "digest", []))


def test_workers_may_be_gpus() -> None:
    trainer = RayTrainer(address="127.0.0.1:6379", checkpoints="checkpoints", worker_resources={"GPU": 1})
    scaling = trainer.scaling_config()
    assert scaling.use_gpu
    assert scaling.resources_per_worker == {"GPU": 1}


def test_workers_may_be_hosts_of_a_tpu_slice() -> None:
    trainer = RayTrainer(
        address="ray://head:10001", checkpoints="gs://b/c", workers=4, topology="4x4", accelerator="TPU-V6E"
    )
    scaling = trainer.scaling_config()
    assert (scaling.use_tpu, scaling.num_workers, scaling.topology) == (True, 4, "4x4")
    assert scaling.accelerator_type == "TPU-V6E"
    assert trainer.jax_config().use_tpu
