"""Llama weights as a Hugging Face folder, in and out: `config.json`, `model.safetensors`, tokenizer files.

Names and layout are those of transformers' `LlamaForCausalLM`: one tensor a layer, [outputs, inputs]. Here layers are
stacked and matrices are [inputs, outputs], so that every matrix is transposed on its way in and out.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike
from safetensors import safe_open
from safetensors.numpy import save_file
from tokenizers import Tokenizer

from datashop_assets.models.llama.model import Llama, LlamaConfig

FLOATS = {"F64", "F32", "F16", "BF16"}
Weights = dict[str, Any]  # nested: {"layers": {"mlp": {"up_proj": {"kernel": array [L, D, F]}}}, ...}


def folder_config(path: Path) -> LlamaConfig:
    """What the `config.json` of a Hugging Face folder says. Raises `ValueError` for a model that is no such Llama."""
    return LlamaConfig.from_hugging_face(json.loads((path / "config.json").read_text()))


def load_folder(path: Path, *, dtype: DTypeLike = jnp.float32) -> Llama:
    """The model of a Hugging Face folder, in one or several safetensors files, computing in `dtype`.

    Raises `FileNotFoundError` where a file is missing and `ValueError` where a tensor is missing, has another shape or
    is quantized.
    """
    config = folder_config(path)
    files = sorted(path.glob("*.safetensors"))
    if not files:
        raise FileNotFoundError(f"{path}: holds no *.safetensors; export the model with safetensors weights.")
    where = {name: file for file in files for name in _names(file)}

    def tensor(name: str) -> np.ndarray:
        if name not in where:
            raise ValueError(f"{path}: no tensor {name!r} in {len(files)} safetensors files; is the export whole?")
        with safe_open(where[name], framework="flax") as opened:  # flax reads bfloat16, which numpy does not know
            if (kind := opened.get_slice(name).get_dtype()) not in FLOATS:  # without scales they would be other weights
                raise ValueError(f"{path}: tensor {name!r} is {kind}; give the checkpoint before it was quantized.")
            return np.asarray(opened.get_tensor(name), dtype=np.float32)

    return assemble(config, tensor, dtype=dtype)


def save_folder(model: Llama, path: Path, tokenizer: Tokenizer | None = None, special: Mapping[str, str] = {}) -> None:
    """Writes what `LlamaForCausalLM.from_pretrained` and `AutoTokenizer.from_pretrained` read, in float32.

    `special` names the tokenizer's special tokens, such as {"eos_token": "<|endoftext|>"}. Tied weights are left out.
    """
    path.mkdir(parents=True, exist_ok=True)
    ends = {} if tokenizer is None else _token_ids(tokenizer, special)
    (path / "config.json").write_text(json.dumps({**model.config.to_hugging_face(), **ends}, indent=2) + "\n")
    save_file(dict(_tensors(model)), path / "model.safetensors", metadata={"format": "pt"})
    if tokenizer is not None:
        tokenizer.save(str(path / "tokenizer.json"))
        settings = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False, **special}
        settings["model_max_length"] = model.config.max_position_embeddings
        (path / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")
        (path / "special_tokens_map.json").write_text(json.dumps(dict(special), indent=2) + "\n")


def assemble(config: LlamaConfig, tensor: Callable[[str], np.ndarray], *, dtype: DTypeLike = jnp.float32) -> Llama:
    """A `Llama` whose every weight comes from `tensor(name)`, by the names of `LlamaForCausalLM`, as [outputs, inputs].

    Raises `ValueError` for a tensor whose shape does not follow from `config`.
    """
    empty = nnx.eval_shape(lambda: Llama(config, dtype=dtype, rngs=nnx.Rngs(0)))
    graph, shapes = nnx.split(empty)
    filled = jax.tree.map_with_path(lambda place, leaf: _fetch(_keys(place), leaf.shape, tensor), shapes)
    return nnx.merge(graph, filled)


def _fetch(keys: tuple[str, ...], shape: tuple[int, ...], tensor: Callable[[str], np.ndarray]) -> jax.Array:
    names = list(_hugging_face_names(keys, shape[0]))
    parts = [_turn(keys, tensor(name)) for name in names]
    for name, part in zip(names, parts, strict=True):
        wanted = shape[1:] if keys[0] == "layers" else shape
        if part.shape != wanted:
            raise ValueError(
                f"tensor {name!r} has shape {part.shape} (inputs first); its config.json asks for {wanted}."
            )
    return jnp.asarray(np.stack(parts) if keys[0] == "layers" else parts[0])


def _tensors(model: Llama) -> Iterator[tuple[str, np.ndarray]]:
    for place, leaf in jax.tree.leaves_with_path(nnx.state(model, nnx.Param)):
        keys, value = _keys(place), np.asarray(leaf, dtype=np.float32)
        parts = value if keys[0] == "layers" else value[None]
        for name, part in zip(_hugging_face_names(keys, len(parts)), parts, strict=True):
            yield name, np.ascontiguousarray(_turn(keys, part))


def _hugging_face_names(keys: tuple[str, ...], layers: int) -> Iterator[str]:
    """("layers", "mlp", "up_proj", "kernel") -> model.layers.0.mlp.up_proj.weight and so on; one name for the rest."""
    modules = ".".join(keys[1:-1])
    if keys[0] == "layers":
        yield from (f"model.layers.{layer}.{modules}.weight" for layer in range(layers))
    else:
        yield f"{keys[0]}.weight" if keys[0] == "lm_head" else f"model.{keys[0]}.weight"


def _turn(keys: tuple[str, ...], matrix: np.ndarray) -> np.ndarray:
    return matrix.T if keys[-1] == "kernel" else matrix


def _keys(place: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(str(key.key) for key in place if hasattr(key, "key"))


def _names(file: Path) -> list[str]:
    with safe_open(file, framework="numpy") as opened:
        return list(opened.keys())


def _token_ids(tokenizer: Tokenizer, special: Mapping[str, str]) -> dict[str, int]:
    ids = {f"{name}_id": tokenizer.token_to_id(token) for name, token in special.items()}
    return {name: token for name, token in ids.items() if token is not None}
