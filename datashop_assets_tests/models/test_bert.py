"""The encoder against torch's figures, by both of its runtimes, and what its folders hold."""

import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import replace
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given, settings
from hypothesis import strategies as st

from datashop_assets.data_packages import installed_data
from datashop_assets.encoder_kinds.kinds import pretrained_folder
from datashop_assets.encoder_kinds.transformer import loss_of
from datashop_assets.models.bert.classifier import load_classifier, save_classifier
from datashop_assets.models.bert.config import BertConfig, Rotary
from datashop_assets.models.bert.heads import features_of
from datashop_assets.models.bert.model import Bert, JaxEmbedder
from datashop_assets.models.bert.onnx_graph import OnnxEmbedder, OnnxGraph, batches_of_one_length
from datashop_assets.models.bert.weights import fetch_folder, load_bert
from datashop_assets.prompts.encoder_settings import MINILM
from datashop_assets.storage.root import project
from datashop_assets_tests.documents.stand_in_hub import hub
from datashop_assets_tests.models.tiny_bert import KINDS, WIDTH, config_of, write_tiny

GOLDEN = json.loads(Path(__file__).with_name("bert_golden.json").read_text())
PEER = """
import json, sys, torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
folders, texts = json.loads(sys.argv[1]), json.loads(sys.argv[2])
scores = []
for folder in folders:
    model, said = AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True)
    assert not said["missing_keys"] and not said["unexpected_keys"], (folder, said)
    batch = AutoTokenizer.from_pretrained(folder)(texts, padding=True, return_tensors="pt")
    with torch.inference_mode():
        scores.append(model.eval()(**batch).logits.tolist())
print(json.dumps(scores))
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
@pytest.mark.parametrize("kind", KINDS)
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
@pytest.mark.parametrize("kind", KINDS)
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
def test_transformers_loads_exported_folders_with_equal_scores(tmp_path: Path) -> None:
    texts = ["a theorem", "kings", "of many letters and of other words that are more than a window holds"]
    ours = {}
    for number, (kind, pooling, outputs) in enumerate(product(KINDS, ["mean", "first"], [1, 5])):
        bert, head = load_bert(write_tiny(tmp_path / kind, kind), pooling), head_of(outputs)
        save_classifier(bert, head, 64, tmp_path / f"{number}")
        features = features_of(OnnxEmbedder(bert).embed(bert.tokenize(texts, 64)), pooling)
        ours[str(tmp_path / f"{number}")] = (features @ head["direction"])[:, None] + head["bias"]
    python = project() / ".venv-peers/bin/python"
    command = [python, "-c", PEER, json.dumps(list(ours)), json.dumps(texts)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    theirs = json.loads(done.stdout.splitlines()[-1])
    for (folder, scores), peer in zip(ours.items(), theirs, strict=True):
        np.testing.assert_allclose(
            np.array(peer), scores, atol=1e-4, err_msg=(Path(folder) / "config.json").read_text()
        )


LENGTHS = st.lists(st.integers(1, 16), min_size=1, max_size=40)


@settings(max_examples=20, deadline=None)
@given(LENGTHS)
def test_batches_hold_every_document_once_beside_its_like(lengths: list[int]) -> None:
    batches = list(batches_of_one_length(lengths))
    assert sorted(place for batch in batches for place in batch) == list(range(len(lengths)))
    assert all(len({lengths[place] for place in batch}) == 1 for batch in batches)


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(sorted(KINDS)), st.lists(st.integers(2, 45), min_size=2, max_size=6), st.integers(0, 99))
def test_documents_that_share_a_row_are_embedded_as_if_alone(kind: str, lengths: list[int], seed: int) -> None:
    bert, random = tiny(kind), np.random.default_rng(seed)
    documents = [random.integers(4, 50, length).tolist() for length in lengths]
    packed = JaxEmbedder(bert, 48, rows=2).embed(documents)
    np.testing.assert_allclose(packed, OnnxEmbedder(bert, 1).embed(documents), atol=3e-5)
    alone = [JaxEmbedder(bert, 48, rows=2).embed([one])[0] for one in documents]
    np.testing.assert_allclose(packed, alone, atol=3e-5)


@lru_cache
def tiny(kind: str) -> Bert:
    with tempfile.TemporaryDirectory() as folder:
        return load_bert(write_tiny(Path(folder), kind))


@pytest.mark.parametrize("kind", ["modernbert", "gte"])
def test_all_weights_learn(kind: str) -> None:
    """A step along the gradient lowers the loss, and no tensor that is read has a gradient of zero."""
    bert, tokens = tiny(kind), np.array([[2, *range(4, 44), 3], [2, 7, 3, *[-1] * 39]], np.int32)
    batch = {"read": tokens, "targets": np.array([[4.0], [1.0]], np.float32)}
    loss = loss_of(bert, "regression", "all")
    weights = {"head": head_of(1), "network": dict(bert.weights)}
    measured = jax.jit(jax.value_and_grad(lambda tree: loss(tree, batch).mean()))
    before, gradient = measured(weights)
    flat = {name: np.abs(value).max() for name, value in gradient["network"].items()}
    assert {name for name, size in flat.items() if not size > 0} <= {"layer.attention.self.key.bias"}
    moved = jax.tree.map(lambda weight, slope: weight - 1e-4 * slope, weights, gradient)
    assert measured(moved)[0] < before


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


REFUSED: list[tuple[str, dict[str, object], str]] = [
    ("bert", {"hidden_act": "silu"}, "hidden_act is 'silu'; computed here: gelu"),
    ("bert", {"model_type": "gpt2"}, "model_type is 'gpt2'; computed here: bert, "),
    ("bert", {"position_embedding_type": "relative_key"}, "position_embedding_type is 'relative_key'"),
    ("bert", {"hidden_size": "32"}, "hidden_size is '32'; computed here: a whole number from 1"),
    ("bert", {"num_attention_heads": 5}, "num_attention_heads is 5"),
    ("modernbert", {"hidden_activation": "silu"}, "hidden_activation is 'silu'; computed here: gelu"),
    ("modernbert", {"layer_types": ["full_attention"]}, "layer_types is ['full_attention']; computed here: "),
    ("modernbert", {"layer_types": ["chunked_attention"] * 4}, "layer_types is ['chunked_attention'"),
    ("modernbert", {"local_attention": 0}, "local_attention is 0"),
    ("modernbert", {"local_rope_theta": None}, "rope_parameters.sliding_attention.local_rope_theta is None"),
    (
        "modernbert",
        {"rope_parameters": {"full_attention": {"rope_type": "yarn", "factor": 4.0}}},
        "rope_parameters.full_attention.rope_type is 'yarn'; computed here: default, linear",
    ),
    ("gte", {"hidden_act": "relu"}, "hidden_act is 'relu'"),
    ("gte", {"layer_norm_type": "rms_norm"}, "layer_norm_type is 'rms_norm'; computed here: layer_norm"),
    ("gte", {"position_embedding_type": "absolute"}, "position_embedding_type is 'absolute'; computed here: rope"),
    ("gte", {"logn_attention_scale": True}, "logn_attention_scale is True; computed here: False"),
    ("gte", {"pack_qkv": False}, "pack_qkv is False; computed here: True"),
    ("gte", {"rope_scaling": {"type": "dynamic", "factor": 2.0}}, "rope_scaling.type is 'dynamic'; computed here: "),
    ("gte", {"rope_scaling": {"type": "ntk"}}, "rope_scaling.factor is not there; computed here: a number from 1"),
    ("gte", {"rope_scaling": {"type": "ntk", "factor": 0.5}}, "rope_scaling.factor is 0.5"),
    ("gte", {"rope_scaling": {"type": "ntk", "factor": 8.0, "mixed_b": 0.6}}, "rope_scaling.mixed_b is 0.6"),
]


@pytest.mark.parametrize(("kind", "changed", "said"), REFUSED)
def test_a_variant_that_is_not_computed_is_refused_by_field_and_value(
    tmp_path: Path, kind: str, changed: dict[str, object], said: str
) -> None:
    folder = write_tiny(tmp_path, kind)
    (folder / "config.json").write_text(json.dumps({**config_of(kind), **changed}))
    with pytest.raises(ValueError, match=re.escape(f"{folder}: config.json: {said}")) as refused:
        load_bert(folder)
    assert str(refused.value).endswith("; name an encoder of that kind")


def test_tensors_of_other_sizes_than_configured_are_refused(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path, "modernbert")
    (folder / "config.json").write_text(json.dumps({**config_of("modernbert"), "intermediate_size": 40}))
    with pytest.raises(
        ValueError, match=r"'layers.0.mlp.Wi.weight' is of shape \(96, 32\), by config.json of \(80, 32\)"
    ):
        load_bert(folder)


def test_frequencies_are_those_of_ntk_scaling_by_its_authors() -> None:
    """theta 500,000 by 2, heads of 8: 1 / 10^6^(2i / 8) / 2^(2 / 8), https://kexue.fm/archives/9706."""
    rotary = BertConfig.from_hugging_face(config_of("gte")).rotary
    assert rotary == Rotary(1e6, 2**0.25)
    cosines, sines = rotary.turns(2, 8)
    np.testing.assert_allclose(
        np.arctan2(sines, cosines)[1], [0.840896, 0.0265915, 0.000840896, 2.65915e-05], rtol=1e-5
    )


def test_local_and_global_layers_are_told_apart_by_configuration() -> None:
    local = BertConfig.from_hugging_face(config_of("modernbert"))
    assert (local.local_layers, local.window) == ((False, True, True, False), 4)
    assert BertConfig.from_hugging_face(local.hugging_face()) == local
    assert local.hugging_face()["global_attn_every_n_layers"] == 3
    assert local.flops(64) == 64 * (2 * 4 * (4 * 32**2 + 3 * 32 * 48) + 4 * 32 * (2 * 64 + 2 * 9))


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match=r"holds no tokenizer\.json"):
        fetch_folder(str(tmp_path), tmp_path)
