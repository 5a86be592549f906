"""Control and candidate as their stages train them."""

import base64
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from transformers import AutoConfig, AutoTokenizer

from datashop_assets.core.step import Resources, StepOutput
from datashop_assets.models.llama.weights import load_folder
from datashop_assets.protocols.trainer import Checkpointing
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.trained_lm import checkpoints, training
from datashop_assets.trained_lm.mixture import Rows
from datashop_assets.trained_lm.results import CURVE, ControlConfig, ControlLMResult
from datashop_assets.trained_lm.steps import control_lm
from datashop_assets.trained_lm.training import TrainingFunctions, compiled
from datashop_assets.training_documents.settings import TrainingSettings
from datashop_assets_tests.small_lm import (
    TOOLS,
    TRAINING,
    TokenizedPool,
    candidate_config,
    train_candidate,
    train_control,
)
from datashop_assets_tests.stages import run_step, writer
from datashop_assets_tests.trained_lm.bucket import bucket
from resources.trainers import LocalTrainer


class StopsAfter:
    """A progress bar at which the power fails after some steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def bar(self, name: str, total: float, unit: str) -> "StopsAfter":
        return self

    def __enter__(self) -> "StopsAfter":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def advance(self, amount: float = 1) -> None:
        self.left -= int(amount)
        if self.left < 0:
            raise InterruptedError


def test_the_loss_of_every_seed_falls(control: StepOutput[ControlLMResult]) -> None:
    curve = control.table(CURVE)
    assert curve["seed"].unique().to_list() == [0, 1, 2, 3]
    for seed in range(4):
        losses = curve.filter(seed=seed)["loss"].to_list()
        assert len(losses) == TRAINING["steps"]
        assert np.mean(losses[-5:]) < losses[0] - 1


def test_the_learning_rate_warms_up_and_decays_to_a_tenth(control: StepOutput[ControlLMResult]) -> None:
    rates = control.table(CURVE).filter(seed=0)["learning_rate"].to_list()
    assert rates[0] == 0.0
    assert max(rates) == pytest.approx(TRAINING["learning_rate"]) == rates[8]
    assert rates[-1] == pytest.approx(TRAINING["learning_rate"] / 10, rel=0.1)


def test_the_same_settings_give_the_same_bits(
    control: StepOutput[ControlLMResult], tokenized: TokenizedPool, tmp_path: Path
) -> None:
    again = train_control(tmp_path, tokenized)
    assert again.manifest.content_digest == control.manifest.content_digest


def test_a_run_that_was_cut_off_goes_on_to_the_same_bits(
    control: StepOutput[ControlLMResult], tokenized: TokenizedPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "SECONDS", 0.0)
    monkeypatch.setattr(checkpoints, "SPARED", 0)
    config = ControlConfig(settings=TrainingSettings(**TRAINING), checkpoint=None)
    stopping = Resources(trainer=TOOLS.trainer, progress=StopsAfter(200))
    with pytest.raises(InterruptedError):
        run_step(control_lm, tmp_path, config, [tokenized.tokens], resources=stopping)
    scratch = writer(tmp_path, "control_lm").scratch
    saved = [int(path.name) for path in scratch.glob("seed-*/*") if path.name.isdigit()]
    assert saved
    assert min(saved) < TRAINING["steps"]
    again = run_step(control_lm, tmp_path, config, [tokenized.tokens], resources=TOOLS)
    assert again.manifest.content_digest == control.manifest.content_digest


@pytest.fixture
def bucket_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with bucket() as address:
        for name in ("STORAGE_EMULATOR_HOST", "TENSORSTORE_GCS_HTTP_URL"):  # for gcsfs and for tensorstore
            monkeypatch.setenv(name, address)
        monkeypatch.setenv("GOOGLE_AUTH_TOKEN_FOR_TESTING", "any")
        yield "gs://tests/checkpoints"


def test_a_machine_that_is_lost_loses_little_where_checkpoints_lie_in_a_bucket(
    bucket_server: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = TrainingSettings(**TRAINING)
    trainer = LocalTrainer(checkpoint_seconds=0.0, checkpoints=bucket_server)

    def run(machine: str, stop_after: float = 1e9) -> list[float]:
        [trained] = trainer.run(
            training.train_seeds,
            rows=[_rows],
            config=settings.llama(384),
            settings=settings,
            scratch=tmp_path / machine / "trained_lm" / "digest",
            advance=StopsAfter(int(stop_after)).advance,
            checkpointing=trainer.checkpointing,
        )
        losses: list[float] = trained.history[:, 0].tolist()
        return losses

    with pytest.raises(InterruptedError):
        run("one", stop_after=50)
    caplog.set_level(logging.INFO, "datashop")
    resumed = run("two")
    said = [record.getMessage() for record in caplog.records if record.name == "datashop.training"]
    assert said[0] == "seed 0 goes on after step 50"
    assert said[-1].startswith("seed 0: step 80 of 80, loss ")
    kept = fsspec.filesystem("gs", skip_instance_cache=True).ls(
        f"{bucket_server}/trained_lm/digest/seed-0-{_rows().digest}"
    )
    assert sorted(name.rstrip("/").rsplit("/", 1)[1] for name in kept) == ["70", "80"]
    [whole] = training.train_seeds([_rows], settings.llama(384), settings, tmp_path, advance=lambda steps: None)
    assert resumed == whole.history[:, 0].tolist()


def test_a_folder_for_checkpoints_may_be_named_from_where_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = TrainingSettings(**TRAINING)
    trainer = LocalTrainer(checkpoints="checkpoints")
    trainer.run(
        training.train_seeds,
        rows=[_rows],
        config=settings.llama(384),
        settings=settings,
        scratch=tmp_path / "trained_lm" / "digest",
        advance=lambda steps: None,
    )
    assert (tmp_path / "checkpoints" / "trained_lm" / "digest" / f"seed-0-{_rows().digest}" / "80").is_dir()


def test_control_and_candidate_begin_alike_and_end_apart(
    control: StepOutput[ControlLMResult], tokenized: TokenizedPool, sums: StageFolder, tmp_path: Path
) -> None:
    candidate = train_candidate(tmp_path, tokenized, sums)
    for seed in range(4):
        one, two = (folder.table(CURVE).filter(seed=seed)["loss"].to_list() for folder in (control, candidate))
        assert abs(one[0] - two[0]) < 0.1
        assert one[-1] != two[-1]
    own = candidate.result.own
    assert own.tokens_read == 80 * 4 * 0.5 * 32
    assert own.epochs == round(own.tokens_read / candidate.result.kept_tokens, 3)


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_step(tmp_path: Path, monkeypatch: Any) -> None:
    settings = TrainingSettings(**TRAINING)
    real = compiled(settings.llama(384), settings)

    def start(seed: int) -> Any:
        weights, moments = real.start(seed)
        return jax.tree.map(lambda leaf: leaf * np.nan, weights), moments

    broken = replace(real, start=start)
    monkeypatch.setattr(training, "compiled", lambda *settings: broken)
    with pytest.raises(
        FloatingPointError, match=r"seed 0 is nan at step 0; lower .* batch holds a, b; there is no checkpoint yet"
    ):
        training.train_seeds([_rows], settings.llama(384), settings, tmp_path, advance=lambda steps: None)


def test_a_loss_that_is_no_number_names_the_last_good_checkpoint(tmp_path: Path, monkeypatch: Any) -> None:
    settings = TrainingSettings(**TRAINING)
    real, steps = compiled(settings.llama(384), settings), iter(range(1000))

    def step(state: Any, batch: Any) -> Any:
        state, nats = real.step(state, batch)
        return state, nats if next(steps) < 25 else nats * np.nan

    monkeypatch.setattr(training, "compiled", lambda *settings: replace(real, step=step))
    often = Checkpointing(seconds=0.0)
    told = r"seed 0 is nan at step 25; .* the last good checkpoint is .*/seed-0-\w+/20$"
    with pytest.raises(FloatingPointError, match=told):
        training.train_seeds(
            [_rows], settings.llama(384), settings, tmp_path, advance=lambda steps: None, checkpointing=often
        )


def test_a_gradient_that_is_no_number_stops_the_run_before_its_weights_are_kept(
    tmp_path: Path, monkeypatch: Any
) -> None:
    """The loss of the last step is a number, and the weights after it would be the model."""
    settings = TrainingSettings(**{**TRAINING, "steps": 20})
    rows = replace(_rows(), tokens=np.ones((80, 33), dtype=np.int32))
    rows.tokens[-settings.batch :, 0] = 2
    real = TrainingFunctions.loss

    def loss(training: TrainingFunctions) -> Any:
        return lambda weights, batch: real(training)(weights, batch) + _without_slope(weights, batch[0][0, 0] == 2)

    monkeypatch.setattr(TrainingFunctions, "loss", loss)
    monkeypatch.setattr(training, "compiled", compiled.__wrapped__)
    often = Checkpointing(seconds=0.0)
    with pytest.raises(FloatingPointError, match=r"seed 0 is nan at step 19; .* checkpoint is .*/seed-0-\w+/10$"):
        training.train_seeds(
            [lambda: rows], settings.llama(384), settings, tmp_path, advance=lambda steps: None, checkpointing=often
        )


def _without_slope(weights: Any, here: jax.Array) -> jax.Array:
    """Zero; its slope is no number where `here` is true."""
    size = jnp.where(here, 0.0, 1.0) * sum(jnp.square(leaf).sum() for leaf in jax.tree.leaves(weights))
    return jnp.sqrt(size) - jax.lax.stop_gradient(jnp.sqrt(size))


def test_every_seed_is_exported_as_a_hugging_face_folder(control: StepOutput[ControlLMResult]) -> None:
    for seed in range(4):
        folder = control.files(f"seed-{seed}/")[f"seed-{seed}/config.json"].parent
        config = AutoConfig.from_pretrained(folder)
        assert (config.model_type, config.vocab_size, config.hidden_size) == ("llama", 384, 32)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        assert tokenizer.decode(tokenizer("one + one")["input_ids"]) == "one + one"
        assert json.loads((folder / "config.json").read_text())["eos_token_id"] == tokenizer.eos_token_id
        assert load_folder(folder).config.num_hidden_layers == 1


def test_a_reader_sees_the_losses_and_a_drawing_of_them(control: StepOutput[ControlLMResult]) -> None:
    shown = control_lm.describe(control)
    assert shown["loss by seed"].count("\n| ") == 5
    title, picture = shown["training"].removeprefix("![").removesuffix(")").split("](data:image/png;base64,")
    assert title == "loss, learning rate, tokens a second and MFU by step"
    assert base64.b64decode(picture).startswith(b"\x89PNG")
    assert len(picture) < 100_000


def test_the_metric_file_says_how_fast_every_step_was(control: StepOutput[ControlLMResult]) -> None:
    curve = control.table(CURVE)
    assert (curve["tokens_per_second"] > 0).all()
    assert ((curve["mfu"] > 0) & (curve["mfu"] < 1)).all()
    assert curve["tokens"].max() == TRAINING["steps"] * 4 * 32


def test_another_limit_of_epochs_needs_no_other_program() -> None:
    one, two = (candidate_config(max_epochs=limit).settings for limit in (4.0, 8.0))
    assert compiled(one.llama(384), one) is compiled(two.llama(384), two)


def _rows() -> Rows:
    names = np.zeros(320, dtype=np.int64)
    return Rows(np.ones((320, 33), dtype=np.int32), 0, ["a", "b", "c"], names, names + 1)
