"""The encoder against torch's figures, by both of its runtimes, and what its folders hold."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given, settings
from hypothesis import strategies as st

from datashop_assets.data_packages import installed_data
from datashop_assets.encoder_kinds.kinds import pretrained_folder
from datashop_assets.models.bert.heads import features_of
from datashop_assets.models.bert.classifier import load_classifier, save_classifier
from datashop_assets.models.bert.config import BertConfig
from datashop_assets.models.bert.model import Bert, JaxEmbedder
from datashop_assets.models.bert.onnx_graph import OnnxEmbedder, OnnxGraph, batches_of_one_length
from datashop_assets.models.bert.weights import fetch_folder, load_bert
from datashop_assets.prompts.encoder_settings import MINILM
from datashop_assets.storage.root import project
from datashop_assets_tests.documents.stand_in_hub import hub
from datashop_assets_tests.models.tiny_bert import WIDTH, config_of, write_tiny

GOLDEN = json.loads(Path(__file__).with_name("bert_golden.json").read_text())
PEER = """
import json, sys, torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
folder, texts = sys.argv[1], json.loads(sys.argv[2])
model, said = AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True)
assert not said["missing_keys"] and not said["unexpected_keys"], said
batch = AutoTokenizer.from_pretrained(folder)(texts, padding=True, return_tensors="pt")
with torch.inference_mode():
    print(json.dumps(model.eval()(batch["input_ids"], attention_mask=batch["attention_mask"]).logits.tolist()))
"""
FROM_THE_HUB = """
import sys
from pathlib import Path
from datashop_assets.encoder_kinds.kinds import pretrained_folder
print(pretrained_folder(sys.argv[1], Path(sys.argv[2]), Path()))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("bert") / "bert")


@pytest.mark.parametrize("pooling", ["mean", "first"])
@pytest.mark.parametrize("kind", ["bert", "xlm-roberta"])
def test_both_runtimes_give_the_figures_of_torch(tmp_path: Path, kind: str, pooling: str) -> None:
    bert = load_bert(write_tiny(tmp_path, kind), pooling)
    wanted = np.array(GOLDEN[kind][pooling])
    for embedder in (OnnxEmbedder(bert), JaxEmbedder(bert, 48, rows=2)):
        np.testing.assert_allclose(embedder.embed(GOLDEN["tokens"]), wanted, atol=2e-5)


def test_minilm_gives_the_embeddings_of_sentence_transformers() -> None:
    bert = load_bert(pretrained_folder(MINILM, Path(), installed_data()))
    found = OnnxEmbedder(bert).embed(bert.tokenize(GOLDEN["texts"], 512))
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    np.testing.assert_allclose(found[:, :8], np.array(GOLDEN["minilm"]), atol=1e-5)


def test_the_graph_does_not_hold_the_weights_so_that_no_encoder_is_too_large_for_a_protobuf() -> None:
    graph = OnnxGraph(load_bert(pretrained_folder(MINILM, Path(), installed_data())))
    assert len(graph.model().SerializeToString()) < 200_000  # of 90 MB of weights
    assert sum(value.numpy().nbytes for value in graph.weights.values()) > 80_000_000


def head_of(outputs: int) -> dict[str, Any]:
    random = np.random.default_rng(1)
    return {
        "direction": random.normal(size=WIDTH).astype(np.float32),
        "bias": random.normal(size=outputs).astype(np.float32),
    }


@pytest.mark.parametrize("pooling", ["mean", "first"])
@pytest.mark.parametrize("kind", ["bert", "xlm-roberta"])
def test_an_exported_folder_is_read_back_bit_for_bit(tmp_path: Path, kind: str, pooling: str) -> None:
    bert, head = load_bert(write_tiny(tmp_path / "base", kind), pooling), head_of(5)
    save_classifier(bert, head, 40, tmp_path / "out")
    again, same = load_classifier(tmp_path / "out")
    assert again.config == bert.config
    assert again.pooling == pooling
    for name, value in bert.weights.items():
        np.testing.assert_array_equal(again.weights[name], value)
    for name, value in head.items():
        np.testing.assert_array_equal(same[name], value)


@pytest.mark.peers
@pytest.mark.parametrize("outputs", [1, 5])
@pytest.mark.parametrize("pooling", ["mean", "first"])
@pytest.mark.parametrize("kind", ["bert", "xlm-roberta"])
def test_transformers_loads_an_exported_folder_with_equal_scores(
    tmp_path: Path, kind: str, pooling: str, outputs: int
) -> None:
    bert, head = load_bert(write_tiny(tmp_path / "base", kind), pooling), head_of(outputs)
    save_classifier(bert, head, 40, tmp_path / "out")
    texts = ["a theorem", "kings", "of many letters and of other words"]
    python = project() / ".venv-peers/bin/python"
    done = subprocess.run([python, "-c", PEER, tmp_path / "out", json.dumps(texts)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    features = features_of(OnnxEmbedder(bert).embed(bert.tokenize(texts, 40)), pooling)
    ours = (features @ head["direction"])[:, None] + head["bias"]
    np.testing.assert_allclose(np.array(json.loads(done.stdout.splitlines()[-1])), ours, atol=1e-4)


LENGTHS = st.lists(st.integers(1, 16), min_size=1, max_size=40)


@settings(max_examples=20, deadline=None)
@given(LENGTHS)
def test_batches_hold_every_document_once_beside_its_like(lengths: list[int]) -> None:
    batches = list(batches_of_one_length(lengths))
    assert sorted(place for batch in batches for place in batch) == list(range(len(lengths)))
    assert all(len({lengths[place] for place in batch}) == 1 for batch in batches)


def test_empty_and_broken_texts_are_embedded(folder: Path) -> None:
    bert = load_bert(folder)
    found = OnnxEmbedder(bert).embed(bert.tokenize(["", "\ud800", "\0"], 40))
    assert np.isfinite(found).all()


def test_tokens_are_cut_where_the_encoder_or_the_setting_ends(folder: Path) -> None:
    bert: Bert = load_bert(folder)
    assert [len(bert.tokenize(["a " * 500], longest)[0]) for longest in (10, 999)] == [10, 64]
    assert replace(bert.config, model_type="xlm-roberta").longest == 63


def test_a_folder_in_a_bucket_is_copied_once_a_version(gcs_bucket: str, folder: Path, tmp_path: Path) -> None:
    import fsspec

    filesystem, path = fsspec.core.url_to_fs(f"{gcs_bucket}/bert")
    for file in folder.iterdir():
        filesystem.put_file(str(file), f"{path}/{file.name}")
    copy = pretrained_folder(f"{gcs_bucket}/bert", tmp_path, installed_data())
    written = (copy / "model.safetensors").stat().st_mtime_ns
    assert pretrained_folder(f"{gcs_bucket}/bert", tmp_path, installed_data()) == copy
    assert (copy / "model.safetensors").stat().st_mtime_ns == written
    assert load_bert(copy).config == load_bert(folder).config

    filesystem.pipe_file(f"{path}/config.json", b"{}")
    assert (pretrained_folder(f"{gcs_bucket}/bert", tmp_path, installed_data()) / "config.json").read_bytes() == b"{}"


def test_two_workers_may_copy_a_folder_at_once(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = MemoryFileSystem()
    for file in folder.iterdir():
        memory.pipe_file(f"/{tmp_path.name}/{file.name}", file.read_bytes())
    plain, others = MemoryFileSystem.get_file, iter([True])

    def get_file(self: MemoryFileSystem, name: str, place: str) -> None:
        plain(self, name, place)
        if next(others, False):  # another worker copies everything while this one is at its first file
            fetch_folder(f"memory://{tmp_path.name}", tmp_path / "copy")

    monkeypatch.setattr(MemoryFileSystem, "get_file", get_file)
    copy = fetch_folder(f"memory://{tmp_path.name}", tmp_path / "copy")
    assert load_bert(copy).config == load_bert(folder).config
    assert sorted(file.name for file in copy.iterdir()) == sorted(file.name for file in folder.iterdir())


def test_a_folder_on_the_hub_is_copied_at_its_revision(folder: Path, tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    with hub({"somebody/small": {file.name: file.read_bytes() for file in folder.iterdir()}}) as address:
        environment = {**kept, "HF_ENDPOINT": address, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
        command = [sys.executable, "-c", FROM_THE_HUB, "hf://somebody/small@v1", str(tmp_path)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    copy = Path(done.stdout.strip())
    assert load_bert(copy).config == load_bert(folder).config
    assert (copy / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()


@pytest.mark.parametrize(("field", "value"), [("hidden_act", "silu"), ("model_type", "gpt2")])
def test_a_variant_that_is_not_computed_is_refused_by_field(field: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"{field} is '{value}'"):
        BertConfig.from_hugging_face({**config_of("bert"), field: value})


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match=r"holds no tokenizer\.json"):
        fetch_folder(str(tmp_path), tmp_path)
