"""Bits of documents under real models."""

from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx

from datashop_assets.evaluation.bits import document_bits
from datashop_assets.models.llama.model import Llama, LlamaConfig
from datashop_assets.models.llama.weights import save_folder

CONFIG = LlamaConfig(
    vocab_size=50,
    hidden_size=32,
    intermediate_size=64,
    num_hidden_layers=1,
    num_attention_heads=1,
    num_key_value_heads=1,
    head_dim=32,
    max_position_embeddings=16,
)
END = 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    save_folder(made(), folder)
    return folder


def made() -> Llama:
    """A model with large embeddings, so that its predictions are not all alike."""
    model = Llama(CONFIG, rngs=nnx.Rngs(0))
    model.embed_tokens.embedding[...] = 20 * model.embed_tokens.embedding[...]
    return model


def by_hand(documents: list[np.ndarray]) -> list[float]:
    """Window by window with the model itself, one in a row: each begins with the last token of the one before."""
    graph, weights = nnx.split(made())

    @jax.jit
    def score(tokens: jax.Array) -> jax.Array:
        model = nnx.merge(graph, weights)
        return jax.nn.log_softmax(model.logits(model.hidden(tokens)))

    bits = []
    for tokens in documents:
        whole, total = np.concatenate([[END], tokens]), 0.0
        for begin in range(0, len(tokens), 16):
            window = whole[begin : begin + 17]
            row = np.zeros((1, 16), dtype=np.int32)
            row[0, : len(window) - 1] = window[:-1]
            total -= float(score(row)[0, np.arange(len(window) - 1), window[1:]].sum())
        bits.append(total / np.log(2))
    return bits


def test_packed_documents_cost_what_they_cost_alone(folder: Path) -> None:
    random = np.random.default_rng(1)
    documents = [random.integers(1, 50, size).astype(np.int32) for size in (1, 5, 16, 17, 40, 3, 9)]
    done: list[float] = []
    [bits] = document_bits([folder], documents, END, done.append)
    assert bits == pytest.approx(by_hand(documents), rel=1e-4)
    assert done == [1]


def test_a_document_without_tokens_costs_nothing(folder: Path) -> None:
    documents = [np.array([], dtype=np.int32), np.array([3], dtype=np.int32)]
    [bits] = document_bits([folder], documents, END, lambda models: None)
    assert bits[0] == 0
    assert bits[1] > 0


def test_models_of_two_sizes_are_refused(folder: Path, tmp_path: Path) -> None:
    other = replace(CONFIG, intermediate_size=32)
    save_folder(Llama(other, rngs=nnx.Rngs(0)), tmp_path)
    with pytest.raises(ValueError, match=r"is of another size than .* train both with the same settings"):
        document_bits([folder, tmp_path], [np.array([3], dtype=np.int32)], END, lambda models: None)


def test_a_model_whose_losses_are_no_numbers_is_refused(tmp_path: Path) -> None:
    model = made()
    model.embed_tokens.embedding[7] = np.nan
    save_folder(model, tmp_path)
    documents = [np.array(tokens, dtype=np.int32) for tokens in ([1, 2, 3], [4, 7, 5])]
    with pytest.raises(FloatingPointError, match=r"the loss of 2 of 2 documents is no number; lower training.learning"):
        document_bits([tmp_path], documents, END, lambda _: None)
