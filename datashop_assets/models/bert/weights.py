"""Encoders as Hugging Face folders, read with or without a head.

A folder has `config.json`, `*.safetensors` and `tokenizer.json`. It may lie on a disk, in a bucket or on the hub
(`hf://owner/name@revision`): what is read of it is copied once. No code of a folder is run.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from tokenizers import Tokenizer

from datashop_assets.models.bert.config import BertConfig
from datashop_assets.models.bert.model import Bert
from datashop_assets.models.bert.names import PREFIXES, read_tensors
from datashop_assets.storage.writing import replacing

CONFIG, TOKENIZER = "config.json", "tokenizer.json"
POOLING = "1_Pooling/config.json"  # of sentence-transformers


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


def _copy(filesystem: Any, name: str, place: Path) -> None:
    """Each of several processes that copy at once has a file of its own until it is whole."""
    if not place.exists():
        with replacing(place) as ready:
            filesystem.get_file(name, str(ready))


def _refuse_incomplete(folder: Path, uri: str) -> Path:
    for name in (CONFIG, TOKENIZER):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{uri!r} holds no {name}; name a Hugging Face folder with safetensors weights")
    if not any(folder.glob("*.safetensors")):
        raise FileNotFoundError(f"{uri!r} holds no *.safetensors; export the model with safetensors weights")
    return folder


def load_bert(folder: Path, pooling: str | None = None) -> Bert:
    """The encoder of a local folder. `pooling` overrides what the folder says; one that says nothing pools by mean.

    Raises `ValueError` where the folder's configuration is not computed here, or a tensor is missing.
    """
    fields = json.loads((folder / CONFIG).read_text())
    names, tensor = _tensor_reader(folder)
    try:
        config = BertConfig.from_hugging_face(fields)
        weights = read_tensors(config, names, tensor)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from error
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    return Bert(config, weights, tokenizer, pooling or _pooling(folder))


def _tensor_reader(folder: Path) -> tuple[set[str], Callable[[str], NDArray[np.float32]]]:
    """The names of the folder's tensors, without the prefix of a class with a head, and what reads one."""
    where: dict[str, tuple[Path, str]] = {}
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="flax") as opened:  # flax reads bfloat16, which numpy does not know
            where |= {_plain(name): (file, name) for name in opened.keys()}  # noqa: SIM118 - it is no mapping

    def tensor(name: str) -> NDArray[np.float32]:
        if name not in where:
            raise ValueError(f"no tensor {name!r} in *.safetensors; export the whole model")
        with safe_open(where[name][0], framework="flax") as opened:
            return np.asarray(opened.get_tensor(where[name][1]), dtype=np.float32)

    return set(where), tensor


def _plain(name: str) -> str:
    """`bert.encoder...` -> `encoder...`."""
    head, _, rest = name.partition(".")
    return rest if head in PREFIXES else name


def _pooling(folder: Path) -> str:
    if not (folder / POOLING).exists():
        return str(json.loads((folder / CONFIG).read_text()).get("pooling", "mean"))
    modes = json.loads((folder / POOLING).read_text())
    if modes.get("pooling_mode_cls_token"):
        return "first"
    if modes.get("pooling_mode_mean_tokens"):
        return "mean"
    raise ValueError(f"{folder}/{POOLING} pools neither by mean nor by first token; set encoder.transformer.pooling")
