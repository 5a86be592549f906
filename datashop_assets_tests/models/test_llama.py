"""The Llama decoder: what it may see, and its folder."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors.flax import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers

from datashop_assets.models.llama.model import Llama, LlamaConfig
from datashop_assets.models.llama.weights import load_folder, save_folder

CONFIG = LlamaConfig(
    vocab_size=64,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=3,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=8,
)


@nnx.jit
def hidden(llama: Llama, tokens: jax.Array, **given: Any) -> jax.Array:
    return llama.hidden(tokens, **given)


@pytest.fixture(scope="module")
def llama() -> Llama:
    return Llama(CONFIG, rngs=nnx.Rngs(0))


@pytest.fixture(scope="module")
def tokens() -> jax.Array:
    return jax.random.randint(jax.random.key(1), (2, 12), 0, CONFIG.vocab_size)


def test_no_token_sees_a_later_one(llama: Llama, tokens: jax.Array) -> None:
    changed = hidden(llama, tokens.at[:, 7].set(0))

    np.testing.assert_allclose(changed[:, :7], hidden(llama, tokens)[:, :7], atol=1e-6)


def test_a_prefix_computed_once_gives_what_the_whole_row_gives(llama: Llama, tokens: jax.Array) -> None:
    same_start = jnp.concatenate([jnp.tile(tokens[:1, :5], (2, 1)), tokens[:, 5:]], axis=1)
    prefix = llama.remember(same_start[0, :5])

    np.testing.assert_allclose(
        hidden(llama, same_start[:, 5:], prefix=prefix), hidden(llama, same_start)[:, 5:], atol=1e-5
    )


def test_documents_packed_in_a_row_do_not_see_each_other(llama: Llama, tokens: jax.Array) -> None:
    packed = hidden(
        llama,
        tokens,
        positions=jnp.tile(jnp.array([*range(5), *range(7)]), (2, 1)),
        segments=jnp.tile(jnp.array([1] * 5 + [2] * 7), (2, 1)),
    )

    np.testing.assert_allclose(packed[:, :5], hidden(llama, tokens[:, :5]), atol=1e-5)
    np.testing.assert_allclose(packed[:, 5:], hidden(llama, tokens[:, 5:]), atol=1e-5)


def test_packed_documents_share_a_prefix(llama: Llama, tokens: jax.Array) -> None:
    prefix = llama.remember(tokens[0, :4])
    packed = hidden(
        llama,
        tokens[1:, :6],
        positions=jnp.array([[4, 5, 6, 4, 5, 6]]),
        segments=jnp.array([[1, 1, 1, 2, 2, 2]]),
        prefix=prefix,
    )

    np.testing.assert_allclose(packed[:, 3:], hidden(llama, tokens[1:, 3:6], prefix=prefix), atol=1e-5)


@pytest.mark.parametrize("tied", [True, False])
def test_a_saved_model_is_the_model_that_is_loaded(tmp_path: Path, tokens: jax.Array, tied: bool) -> None:
    llama = Llama(replace(CONFIG, tie_word_embeddings=tied), rngs=nnx.Rngs(2))
    save_folder(llama, tmp_path)
    loaded = load_folder(tmp_path)
    states = hidden(llama, tokens)

    assert loaded.config == llama.config
    np.testing.assert_array_equal(hidden(loaded, tokens), states)
    np.testing.assert_array_equal(loaded.logits(states), llama.logits(states))


def test_a_saved_tokenizer_opens_in_transformers(tmp_path: Path, llama: Llama) -> None:
    from transformers import AutoConfig, AutoTokenizer

    tokenizer = Tokenizer(models.WordLevel({"<|endoftext|>": 0, "a": 1, "b": 2}, unk_token="<|endoftext|>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    save_folder(llama, tmp_path, tokenizer, {"eos_token": "<|endoftext|>"})

    opened = AutoTokenizer.from_pretrained(tmp_path)
    assert opened("a b")["input_ids"] == [1, 2]
    assert opened.eos_token_id == AutoConfig.from_pretrained(tmp_path).eos_token_id == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [("model_type", "qwen3"), ("attention_bias", True), ("rope_scaling", {"rope_type": "yarn", "factor": 8.0})],
)
def test_a_variant_that_is_not_computed_is_refused_by_field(
    tmp_path: Path, llama: Llama, field: str, value: object
) -> None:
    save_folder(llama, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    del config["rope_parameters"]
    (tmp_path / "config.json").write_text(json.dumps({**config, field: value}))

    with pytest.raises(ValueError, match=r"config\.json: .* is computed here"):
        load_folder(tmp_path)


@pytest.mark.parametrize(("dtype", "read"), [("float16", True), ("bfloat16", True), ("int8", False), ("F8", False)])
def test_half_precision_is_read_and_what_is_quantized_is_refused(
    tmp_path: Path, llama: Llama, dtype: str, read: bool
) -> None:
    save_folder(llama, tmp_path)
    kind = jnp.float8_e4m3fn if dtype == "F8" else jnp.dtype(dtype)
    tensors = {name: value.astype(kind) for name, value in load_file(tmp_path / "model.safetensors").items()}
    save_file(tensors, tmp_path / "model.safetensors")
    if read:
        found = nnx.state(load_folder(tmp_path), nnx.Param)
        for one, two in zip(jax.tree.leaves(found), jax.tree.leaves(nnx.state(llama, nnx.Param)), strict=True):
            np.testing.assert_allclose(one, two, atol=1e-2)
    else:
        with pytest.raises(ValueError, match=r"tensor 'model\..* is (I8|F8_E4M3); give the checkpoint before"):
            load_folder(tmp_path)


def test_a_folder_without_a_tensor_is_refused_by_its_name(tmp_path: Path, llama: Llama) -> None:
    save_folder(llama, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 4}))

    with pytest.raises(ValueError, match=r"model\.layers\.3\..* is the export whole"):
        load_folder(tmp_path)
