"""What a model learns does not depend on how it is spread over devices. Eight are simulated, in another process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from datashop_assets.models.sharding import AXES, MeshShape, ShardingRules
from datashop_assets.trained_lm.training import compiled
from datashop_assets_tests.trained_lm.meshes import SETTINGS

TOLERANCE = 1e-4  # nats, over 20 steps in float32: sums over devices are added in another order


def curves(folder: Path, *meshes: str) -> dict[str, list[float]]:
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-m", "datashop_assets_tests.trained_lm.meshes", str(folder), *meshes]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return found


def agree(found: dict[str, list[float]]) -> None:
    one = found["data=1"]
    assert one[-1] < one[0] - 0.5
    for mesh, losses in found.items():
        assert losses == pytest.approx(one, abs=TOLERANCE), mesh


def test_a_mixed_mesh_learns_what_one_device_learns_and_goes_on_from_another_meshs_checkpoint(tmp_path: Path) -> None:
    agree(curves(tmp_path, "data=1", "fsdp=8:data=2,fsdp=2,tensor=2"))


@pytest.mark.faults
def test_every_kind_of_mesh_learns_what_one_device_learns(tmp_path: Path) -> None:
    meshes = ("data=8", "fsdp=8", "tensor=2", "fsdp=4,tensor=2", "data=2,fsdp=4", "data=2,fsdp=2,tensor=2:data=1")
    agree(curves(tmp_path, "data=1", *meshes))


@pytest.mark.parametrize(
    ("mesh", "told"),
    [
        ("fsdp=3", "training.batch 8 cannot be shared by 1 x 3 devices"),
        ("tensor=64", "needs 64 devices, and there are"),
    ],
)
def test_a_mesh_that_cannot_be_is_refused(mesh: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        compiled(SETTINGS.llama(128), SETTINGS, MeshShape.parse(mesh))


def test_a_mesh_that_does_not_divide_the_weights_is_refused_with_what_would_do() -> None:
    mesh = jax.sharding.AbstractMesh((1, 256, 1), AXES)
    with pytest.raises(ValueError, match=r"width 1408 cannot be cut into 256 equal parts \(fsdp\); 128 would do"):
        ShardingRules(mesh).check((32_768, 1408), "vocabulary", "width")


@pytest.mark.parametrize(("width", "mesh"), [(1024, MeshShape(fsdp=256)), (1408, MeshShape(data=2, fsdp=128))])
def test_weights_are_cut_over_as_many_devices_as_divide_their_width(width: int, mesh: MeshShape) -> None:
    assert MeshShape.cutting(width, 256) == mesh


@pytest.mark.parametrize("text", ["fsdp", "fsdp=x", "rows=2", "fsdp=0"])
def test_a_mesh_is_written_as_axes_and_sizes(text: str) -> None:
    with pytest.raises(ValueError, match="mesh"):
        MeshShape.parse(text)
