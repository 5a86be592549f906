"""Training on from a checkpoint: its tokenizer, its weights, down to a learning rate of zero."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from datashop_assets.core.step import StepOutput
from datashop_assets.data_packages import installed_data
from datashop_assets.models.tokenizer import encode
from datashop_assets.trained_lm.results import CURVE, ControlConfig, ControlLMResult
from datashop_assets.trained_lm.steps import control_lm
from datashop_assets.training_documents.checkpoint import Start
from datashop_assets.training_documents.results import read_tokenizer
from datashop_assets.training_documents.settings import Checkpoint, TrainingSettings
from datashop_assets.training_documents.steps import pool_tokens
from datashop_assets_tests.small_lm import TOOLS, TRAINING, TokenizedPool, tokens_config
from datashop_assets_tests.stages import run_step


@pytest.fixture(scope="module")
def folder(control: StepOutput[ControlLMResult]) -> Path:
    """A Hugging Face folder: the control's first seed."""
    return control.files("seed-0/")["seed-0/config.json"].parent


def anneal_from(folder: Path) -> ControlConfig:
    short = {**TRAINING, "depth": 0, "steps": 20, "seeds": 1, "anneal": True}
    return ControlConfig(settings=TrainingSettings(**short), checkpoint=Checkpoint.named(str(folder)))


def test_an_anneal_begins_where_the_checkpoint_ended(
    control: StepOutput[ControlLMResult], folder: Path, tokenized: TokenizedPool, tmp_path: Path
) -> None:
    config = anneal_from(folder)
    drawn = tokens_config(config.settings, vocabulary=None, checkpoint=config.checkpoint)
    tokens = run_step(pool_tokens, tmp_path, drawn, [tokenized.pool, tokenized.decontamination])
    assert read_tokenizer(tokens).get_vocab() == read_tokenizer(tokenized.tokens).get_vocab()
    assert tokens.result.separator == "<|endoftext|>"
    annealed = run_step(control_lm, tmp_path, config, [tokens], resources=TOOLS)
    before, after = (each.table(CURVE).filter(seed=0)["loss"].to_list() for each in (control, annealed))
    assert abs(after[0] - np.mean(before[-10:])) < 0.3
    assert before[0] - after[0] > 1
    rates = annealed.table(CURVE)["learning_rate"].to_list()
    assert rates[2] == max(rates)
    assert rates[-1] == pytest.approx(TRAINING["learning_rate"] / 18, rel=1e-4)  # and zero a step later


def test_tokens_of_another_tokenizer_are_refused(folder: Path, tokenized: TokenizedPool, tmp_path: Path) -> None:
    other = shutil.copytree(folder, tmp_path / "other")
    words = json.loads((other / "tokenizer.json").read_text())
    vocabulary = words["model"]["vocab"]
    first, second = list(vocabulary)[-2:]
    vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]
    (other / "tokenizer.json").write_text(json.dumps(words))
    with pytest.raises(ValueError, match=r"made by another tokenizer than that of .*; materialize pool_tokens"):
        run_step(control_lm, tmp_path, anneal_from(other), [tokenized.tokens], resources=TOOLS)


def test_rows_longer_than_the_checkpoint_reads_are_refused(
    folder: Path, tokenized: TokenizedPool, tmp_path: Path
) -> None:
    short = shutil.copytree(folder, tmp_path / "short")
    config = json.loads((short / "config.json").read_text())
    (short / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 32}))
    with pytest.raises(ValueError, match=r"training.length is 64, .* max_position_embeddings 32; lower it"):
        Start.named(str(short), installed_data()).check(read_tokenizer(tokenized.tokens), 64)


def test_a_tokenizer_larger_than_the_model_is_refused(folder: Path, tmp_path: Path) -> None:
    small = shutil.copytree(folder, tmp_path / "small")
    config = json.loads((small / "config.json").read_text())
    (small / "config.json").write_text(json.dumps({**config, "vocab_size": 300}))
    with pytest.raises(ValueError, match="the tokenizer has 384 tokens and the model 300 embeddings"):
        Start.named(str(small), installed_data()).tokenizer()


def test_texts_are_neither_cut_nor_filled_up_as_a_checkpoints_tokenizer_last_did(folder: Path, tmp_path: Path) -> None:
    cutting = shutil.copytree(folder, tmp_path / "cutting")
    tokenizer = Start.named(str(folder), installed_data()).tokenizer()
    texts = ["the keeper of the old stone tower", "a"]
    whole = [tokens.tolist() for tokens in encode(tokenizer, texts)]
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=8)
    tokenizer.save(str(cutting / "tokenizer.json"))
    assert [
        tokens.tolist() for tokens in encode(Start.named(str(cutting), installed_data()).tokenizer(), texts)
    ] == whole


def test_a_token_beyond_the_models_embeddings_is_refused(folder: Path, tmp_path: Path) -> None:
    """There are as many tokens as embeddings, and one of them has a number that is none of an embedding."""
    sparse = shutil.copytree(folder, tmp_path / "sparse")
    words = json.loads((sparse / "tokenizer.json").read_text())
    words["model"]["vocab"][list(words["model"]["vocab"])[-1]] = 500
    (sparse / "tokenizer.json").write_text(json.dumps(words))
    with pytest.raises(ValueError, match="the tokenizer has 501 tokens and the model 384 embeddings"):
        Start.named(str(sparse), installed_data()).tokenizer()


def test_a_checkpoint_without_a_tokenizer_is_refused(folder: Path, tmp_path: Path) -> None:
    bare = shutil.copytree(folder, tmp_path / "bare")
    (bare / "tokenizer.json").unlink()
    with pytest.raises(ValueError, match=r"has no tokenizer\.json"):
        Start.named(str(bare), installed_data()).tokenizer()


def test_every_file_that_is_read_of_a_folder_is_in_its_fingerprint(folder: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(folder, tmp_path / "copied")
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        before = Checkpoint.named(str(copied)).fingerprint
        os.utime(copied / name, ns=(0, 0))
        assert Checkpoint.named(str(copied)).fingerprint != before, name


def test_a_name_that_is_nothing_here_is_refused_with_how_to_fetch_it() -> None:
    with pytest.raises(ValueError, match=r"neither a folder here nor one of .*hf download HuggingFaceTB/SmolLM2-135M"):
        Start.named("HuggingFaceTB/SmolLM2-135M", installed_data())


def test_the_embedded_checkpoint_has_its_own_tokenizer_and_separator() -> None:
    start = Start.named("smollm2-135m-instruct", installed_data())
    assert start.config().vocab_size == 49_152
    assert start.separator(start.tokenizer()) == "<|endoftext|>"
