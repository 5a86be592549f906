"""Training: it learns, it keeps the best epoch, it goes on after a kill, and devices share its batches."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from datashop_assets.models import tuning
from datashop_assets.models.bert.heads import HeadKind, losses, outputs, start, targets_of
from datashop_assets.models.tuning import TuningSettings, TuningState, tune

SETTINGS = TuningSettings(epochs=6, learning_rate=0.02, batch=16, schedule="cosine", warmup_fraction=0.1)
DEVICES = """
import sys
from pathlib import Path
import jax, numpy as np
from datashop_assets_tests.models.test_tuning import SETTINGS, documents, loss, tune, weights
assert len(jax.devices()) == int(sys.argv[2])
done = tune(loss, weights(), documents(0), documents(1), SETTINGS, seed=0, checkpoint=Path(sys.argv[1] + ".st"))
np.save(sys.argv[1], done.best["direction"])
"""
NETWORK = """
import sys
from pathlib import Path
import jax, numpy as np
from datashop_assets.encoder_kinds.transformer import loss_of
from datashop_assets.models.bert.model import JaxEmbedder
from datashop_assets.models.bert.weights import load_bert
from datashop_assets_tests.models.test_tuning import SHORT, read, start, tune
from datashop_assets_tests.models.tiny_bert import WIDTH, write_tiny
assert len(jax.devices()) == int(sys.argv[2])
bert = load_bert(write_tiny(Path(sys.argv[1]).parent / "bert"))
head = start("ordinal", WIDTH, np.full(4, 2.5, np.float32), np.ones(4, np.float32))
loss, place = loss_of(bert, "ordinal", "all"), Path(sys.argv[1] + ".st")
done = tune(loss, {"head": head, "network": bert.weights}, read(0), read(1), SHORT, seed=0, checkpoint=place)
tuned = bert.with_weights(done.best["network"])
tokens = [[token for token in row.tolist() if token >= 0] for row in read(2)["read"]]
np.save(sys.argv[1], JaxEmbedder(tuned, 16, rows=2).embed(tokens))
"""
SHORT = replace(SETTINGS, epochs=2, learning_rate=1e-3)


def read(seed: int) -> dict[str, Any]:
    """Token lists [40, 16], -1 as padding, whose first token decides the expected score."""
    random = np.random.default_rng(seed)
    tokens = random.integers(4, 30, (40, 16)).astype(np.int32)
    expected = (tokens[:, 0] / 6).astype(np.float32)
    tokens[np.arange(16) >= random.integers(2, 17, 40)[:, None]] = -1
    return {"read": tokens, "targets": targets_of("ordinal", expected), "weight": np.ones(40, np.float32)}


def documents(seed: int, kind: HeadKind = "regression") -> dict[str, Any]:
    """Features [100, 8], of which the first decides the expected score."""
    features = np.random.default_rng(seed).normal(size=(100, 8)).astype(np.float32)
    expected = np.clip(2.5 + features[:, 0], 0, 5)
    return {"read": features, "targets": targets_of(kind, expected), "weight": np.ones(100, np.float32)}


def weights(kind: HeadKind = "regression") -> dict[str, Any]:
    return start(kind, 8, np.full(4, 2.5, np.float32), np.ones(4, np.float32))


def loss(head: Any, batch: Any) -> jax.Array:
    return losses("regression", outputs(head, batch["read"]), batch["targets"])


def ordinal_loss(head: Any, batch: Any) -> jax.Array:
    return losses("ordinal", outputs(head, batch["read"]), batch["targets"])


def run(place: Path, settings: TuningSettings = SETTINGS, every: float = 1e9) -> TuningState:
    return tune(loss, weights(), documents(0), documents(1), settings, seed=0, checkpoint=place, every=every)


@pytest.mark.parametrize("kind", ["regression", "ordinal"])
def test_a_head_learns_what_decides_the_score(tmp_path: Path, kind: HeadKind) -> None:
    chosen = loss if kind == "regression" else ordinal_loss
    settings = replace(SETTINGS, epochs=20, learning_rate=0.05)
    checkpoint = tmp_path / "c"
    found = tune(chosen, weights(kind), documents(0, kind), documents(1, kind), settings, seed=0, checkpoint=checkpoint)
    direction = np.asarray(found.best["direction"])
    assert direction[0] > 0.8
    assert np.abs(direction[1:]).max() < 0.2


def test_soft_levels_add_up_to_the_expected_score() -> None:
    expected = np.array([0.0, 0.4, 2.5, 5.0], np.float32)
    np.testing.assert_allclose(targets_of("ordinal", expected).sum(axis=1), expected)


def test_the_weights_of_the_best_epoch_are_kept(tmp_path: Path) -> None:
    wild = replace(SETTINGS, learning_rate=3.0, schedule="constant", epochs=4)
    found = run(tmp_path / "c", wild)
    values = documents(1)
    measured = float(loss(found.best, values).mean())
    assert measured == pytest.approx(found.best_loss, rel=1e-5)
    assert found.best_loss <= float(loss(found.weights, values).mean()) + 1e-6


@pytest.mark.parametrize("steps", [3, 7, 20])
def test_a_killed_run_ends_with_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    whole = run(tmp_path / "whole")
    saved = 0

    def saving(path: Path, state: TuningState) -> None:
        nonlocal saved
        original(path, state)
        saved += 1
        if saved == steps:
            raise InterruptedError

    original = tuning.save
    monkeypatch.setattr(tuning, "save", saving)
    with pytest.raises(InterruptedError):
        run(tmp_path / "killed", every=0.0)
    monkeypatch.undo()
    resumed = run(tmp_path / "killed")
    assert resumed.step == whole.step
    for one, other in zip(jax.tree.leaves(resumed.best), jax.tree.leaves(whole.best), strict=True):
        np.testing.assert_array_equal(one, other)


def test_documents_without_weight_teach_nothing(tmp_path: Path) -> None:
    ignored = documents(0)
    ignored["targets"] = np.where(np.arange(100)[:, None] < 50, ignored["targets"], 1e3).astype(np.float32)
    ignored["weight"] = (np.arange(100) < 50).astype(np.float32) * 2
    found = tune(loss, weights(), ignored, documents(1), SETTINGS, seed=0, checkpoint=tmp_path / "c")
    assert found.best_loss < 1.0


def test_a_loss_that_is_no_number_is_named(tmp_path: Path) -> None:
    broken = documents(1)
    broken["read"] = broken["read"] * jnp.inf
    with pytest.raises(FloatingPointError, match=r"lower encoder\.transformer\.learning_rate"):
        tune(loss, weights(), documents(0), broken, SETTINGS, seed=0, checkpoint=tmp_path / "c")


WHOLE = pytest.param(NETWORK, marks=pytest.mark.faults, id="a network, and embed by it")  # compiling it takes long


@pytest.mark.parametrize("script", [pytest.param(DEVICES, id="a head"), WHOLE])
def test_eight_devices_learn_what_one_learns(tmp_path: Path, script: str) -> None:
    for count in (1, 8):
        flags = {**os.environ, "XLA_FLAGS": f"--xla_force_host_platform_device_count={count}", "JAX_PLATFORMS": "cpu"}
        command = [sys.executable, "-c", script, str(tmp_path / f"on-{count}.npy"), str(count)]
        subprocess.run(command, env=flags, check=True)
    one, eight = (np.load(tmp_path / f"on-{count}.npy") for count in (1, 8))
    np.testing.assert_allclose(eight, one, atol=1e-5)
