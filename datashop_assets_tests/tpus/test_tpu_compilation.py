"""Training step and encoder compile for TPU slices that are not at hand. `make libtpu` installs what compiles."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import pytest
from click.testing import CliRunner

from datashop_assets import tpu_compilation
from datashop_assets.commands.estimate import ENCODERS, MODELS, compile_for_tpus
from datashop_assets.models.sharding import MeshShape
from datashop_assets.tpu_compilation import models, too_big

DATASHOP = Path(sys.executable).with_name("datashop")


def on_eight_chips(program: str) -> dict[str, Any]:
    """What `datashop compile` says: in a process of its own, since libtpu stays in the one that loads it."""
    command = [str(DATASHOP), "compile", "--quick", "--program", program, "--topology", "v6e:2x4"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    proof: dict[str, Any] = json.loads(done.stdout)
    return proof


def test_the_training_step_of_400_million_weights_fits_on_eight_chips() -> None:
    proof = on_eight_chips("400m")
    assert proof["fits"]
    assert proof["kernel"] == "splash"
    assert 1 < proof["gib"] < 31.2
    assert proof["collectives"]["all-gather"] > 0


@pytest.mark.tpu
@pytest.mark.parametrize("name", ENCODERS)
def test_the_encoder_fits_on_eight_chips(name: str) -> None:
    proof = on_eight_chips(name)
    assert proof["fits"]
    assert ("all-reduce" in proof["collectives"]) == (name == "encoder-tuning")  # of gradients


def test_the_models_are_of_the_sizes_they_are_called() -> None:
    sizes = {name: model.config.parameters for name, model in models().items()}
    assert tuple(sizes) == MODELS
    assert sizes["8b"] == 8_030_261_248  # as Llama 3.1 8B says of itself
    assert 4.0e8 < sizes["400m"] < 4.5e8
    assert 1.0e9 < sizes["1b"] < 1.2e9


def test_what_is_too_big_is_told_by_how_much() -> None:
    error = "RESOURCE_EXHAUSTED: Ran out of memory in memory space hbm. Used 49.90G of 31.24G hbm. Exceeded by 18.66G."
    assert too_big(error)[0] == 49.9
    assert too_big(error)[1].startswith("18.66 GiB too big: it needs 49.90 GiB of the 31.24 that a chip has")
    assert too_big("RESOURCE_EXHAUSTED: 49.90G of memory exceeds available HBM 31.24G") == too_big(error)


class TooBig:
    """A lowered program that no chip holds."""

    def compile(self, compiler_options: dict[str, float]) -> None:
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Used 49.90G of 31.24G hbm. Exceeded by 18.66G.")


def test_a_program_that_is_too_big_fails_with_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    big = tpu_compilation.TpuProgram("8b", MeshShape(), 8, 8, 8.0, "splash", TooBig)
    monkeypatch.setattr(tpu_compilation, "slice_devices", lambda topology, library: [])
    monkeypatch.setattr(tpu_compilation, "program", lambda name, devices, mesh: big)
    done = CliRunner().invoke(compile_for_tpus, ["--program", "8b", "--topology", "v6e:2x4"])
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    assert not told["fits"]
    assert told["says"].startswith("18.66 GiB too big")
