"""Encoders as Hugging Face folders, read and written: `config.json`, `*.safetensors`, `tokenizer.json`.

A folder may lie on a disk, in a bucket or on the hub (`hf://owner/name@revision`): what is read of it is copied once.
"""

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from tokenizers import Tokenizer

from datashop_assets.models.bert import BertConfig

Tensors = dict[str, NDArray[np.float32]]
CONFIG, TOKENIZER, POOLING = "config.json", "tokenizer.json", "1_Pooling/config.json"
EMBEDDINGS = ("word_embeddings.weight", "position_embeddings.weight", "token_type_embeddings.weight")
NORM = ("LayerNorm.weight", "LayerNorm.bias")
LINEAR = (
    "attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",
    "intermediate.dense", "output.dense",
)  # fmt: skip


@dataclass(frozen=True)
class Bert:
    """An encoder: sizes, tensors (those of layers stacked), tokenizer, and how its authors pool: `mean` or `first`."""

    config: BertConfig
    weights: Tensors
    tokenizer: Tokenizer
    pooling: str

    def with_weights(self, weights: Mapping[str, Any]) -> "Bert":
        return replace(self, weights={name: np.asarray(value, np.float32) for name, value in weights.items()})

    def tokenize(self, texts: list[str], longest: int) -> list[list[int]]:
        """Token ids of every text, special tokens included, cut to `longest` or to what the encoder can read."""
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(min(longest, self.config.longest))
        clean = [text.encode("utf-8", "replace").decode() for text in texts]
        return [encoding.ids for encoding in self.tokenizer.encode_batch(clean)]


def fetch_folder(uri: str, copy: Path) -> Path:
    """The folder that `uri` names as a local path: itself on this machine's disk, else `copy`, filled where it is not.

    Raises `FileNotFoundError` where there is no such folder or it holds no encoder.
    """
    filesystem, path = fsspec.core.url_to_fs(uri)
    if "file" in filesystem.protocol:
        return _refuse_incomplete(Path(path), uri)
    for name in filesystem.find(path):
        short = name[len(path.rstrip("/")) + 1 :]
        if short in (CONFIG, TOKENIZER, POOLING) or ("/" not in short and short.endswith(".safetensors")):
            _copy(filesystem, name, copy / short)
    return _refuse_incomplete(copy, uri)


def load_bert(folder: Path, pooling: str | None = None) -> Bert:
    """The encoder of a local folder. `pooling` overrides what the folder says; one that says nothing pools by mean."""
    config = BertConfig.from_hugging_face(json.loads((folder / CONFIG).read_text()))
    tensor = _tensors(folder)
    weights = {name: tensor(name) for name in _embedding_names()}
    for name in layer_names():
        parts = [tensor(f"encoder.layer.{place}.{name}") for place in range(config.num_hidden_layers)]
        weights[f"layer.{name}"] = np.stack(parts)
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    return Bert(config, weights, tokenizer, pooling or _pooling(folder))


def layer_names() -> Iterator[str]:
    """Names of a layer's tensors, below `encoder.layer.<n>.`."""
    yield from (f"{name}.{part}" for name in LINEAR for part in ("weight", "bias"))
    yield from (f"{block}.{part}" for block in ("attention.output", "output") for part in NORM)


def unstacked(weights: Mapping[str, NDArray[np.float32]]) -> Tensors:
    """The tensors under their names in `BertModel`, one a layer."""
    found = {name: np.asarray(weights[name]) for name in _embedding_names()}
    for name in layer_names():
        for place, part in enumerate(weights[f"layer.{name}"]):
            found[f"encoder.layer.{place}.{name}"] = np.ascontiguousarray(part)
    return found


def _embedding_names() -> Iterator[str]:
    yield from (f"embeddings.{name}" for name in (*EMBEDDINGS, *NORM))


def _tensors(folder: Path) -> Callable[[str], NDArray[np.float32]]:
    where: dict[str, tuple[Path, str]] = {}
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="flax") as opened:  # flax reads bfloat16, which numpy does not know
            where |= {_plain(name): (file, name) for name in opened.keys()}  # noqa: SIM118 - it is no mapping

    def tensor(name: str) -> NDArray[np.float32]:
        if name not in where:
            raise ValueError(f"{folder}: no tensor {name!r} in its safetensors files; is the export whole?")
        with safe_open(where[name][0], framework="flax") as opened:
            return np.asarray(opened.get_tensor(where[name][1]), dtype=np.float32)

    return tensor


def _plain(name: str) -> str:
    """A tensor's name without what a head puts before it: `bert.encoder...` -> `encoder...`."""
    head, _, rest = name.partition(".")
    return rest if head in ("bert", "roberta") else name


def _pooling(folder: Path) -> str:
    if not (folder / POOLING).exists():
        return str(json.loads((folder / CONFIG).read_text()).get("pooling", "mean"))
    said = json.loads((folder / POOLING).read_text())
    if said.get("pooling_mode_cls_token"):
        return "first"
    if said.get("pooling_mode_mean_tokens"):
        return "mean"
    raise ValueError(f"{folder}/{POOLING} pools neither by mean nor by first token; set encoder.transformer.pooling")


def _copy(filesystem: Any, name: str, place: Path) -> None:
    """Each of several processes that copy at once has a file of its own until it is whole."""
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        part = place.with_name(f".{place.name}.{uuid.uuid4().hex}")
        try:
            filesystem.get_file(name, str(part))
            part.replace(place)
        finally:
            part.unlink(missing_ok=True)


def _refuse_incomplete(folder: Path, uri: str) -> Path:
    for name in (CONFIG, TOKENIZER):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{uri!r} holds no {name}; name a Hugging Face folder with safetensors weights")
    if not any(folder.glob("*.safetensors")):
        raise FileNotFoundError(f"{uri!r} holds no *.safetensors; export the model with safetensors weights")
    return folder
