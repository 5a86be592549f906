"""Encoders as Hugging Face folders: read with or without a head, written as one that transformers loads.

A folder has `config.json`, `*.safetensors` and `tokenizer.json`. It may lie on a disk, in a bucket or on the hub
(`hf://owner/name@revision`): what is read of it is copied once.

A tuned encoder is written with its head as a folder that `AutoModelForSequenceClassification` loads, with equal scores.
Those classes read the first token through a dense layer and a tanh. Two exact detours lead there:
- tanh is linear near 0: features are scaled by 2^-12 on their way in, and the classifier by 2^12 on its way out. Both
  are powers of two, so nothing is rounded; what tanh bends is below 1e-6 for features up to 8.
- A mean over tokens is one more layer: queries and keys of zero attend to all tokens alike (and to no padding), the
  dense layer after them multiplies by 2^27 so that the skip connection is rounded away, the layer normalisation takes
  that factor out and leaves the standardised mean, and the feed-forward part adds zero.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

from datashop_assets.models.bert.heads import Head
from datashop_assets.models.bert.model import Bert, BertConfig, Tensors
from datashop_assets.storage.writing import replacing

CONFIG, WEIGHTS = "config.json", "model.safetensors"
TOKENIZER, TOKENIZER_CONFIG = "tokenizer.json", "tokenizer_config.json"
POOLING = "1_Pooling/config.json"  # of sentence-transformers
EMBEDDINGS = ("word_embeddings.weight", "position_embeddings.weight", "token_type_embeddings.weight")
NORM = ("LayerNorm.weight", "LayerNorm.bias")
LINEAR = (
    "attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",
    "intermediate.dense", "output.dense",
)  # fmt: skip
SMALL, LARGE = np.float32(2.0**-12), np.float32(2.0**27)
CLASSES = {
    "bert": "BertForSequenceClassification",
    "roberta": "RobertaForSequenceClassification",
    "xlm-roberta": "XLMRobertaForSequenceClassification",
}


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
    """The encoder of a local folder. `pooling` overrides what the folder says; one that says nothing pools by mean."""
    config = BertConfig.from_hugging_face(json.loads((folder / CONFIG).read_text()))
    tensor = _tensor_reader(folder)
    weights = {name: tensor(name) for name in _embedding_names()}
    for name in layer_names():
        parts = [tensor(f"encoder.layer.{layer}.{name}") for layer in range(config.num_hidden_layers)]
        weights[f"layer.{name}"] = np.stack(parts)
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    return Bert(config, weights, tokenizer, pooling or _pooling(folder))


def _tensor_reader(folder: Path) -> Callable[[str], NDArray[np.float32]]:
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
    modes = json.loads((folder / POOLING).read_text())
    if modes.get("pooling_mode_cls_token"):
        return "first"
    if modes.get("pooling_mode_mean_tokens"):
        return "mean"
    raise ValueError(f"{folder}/{POOLING} pools neither by mean nor by first token; set encoder.transformer.pooling")


def _embedding_names() -> Iterator[str]:
    yield from (f"embeddings.{name}" for name in (*EMBEDDINGS, *NORM))


def layer_names() -> Iterator[str]:
    """Names of a layer's tensors, below `encoder.layer.<n>.`."""
    yield from (f"{name}.{part}" for name in LINEAR for part in ("weight", "bias"))
    yield from (f"{block}.{part}" for block in ("attention.output", "output") for part in NORM)


def unstacked(weights: Mapping[str, NDArray[np.float32]]) -> Tensors:
    """The tensors under their names in `BertModel`, one a layer."""
    tensors = {name: np.asarray(weights[name]) for name in _embedding_names()}
    for name in layer_names():
        for layer, part in enumerate(weights[f"layer.{name}"]):
            tensors[f"encoder.layer.{layer}.{name}"] = np.ascontiguousarray(part)
    return tensors


def save_classifier(bert: Bert, head: Head, longest: int, folder: Path) -> list[Path]:
    """Writes the folder and returns its files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(json.dumps(_classifier_config(bert, len(head["bias"])), indent=2) + "\n")
    save_file(dict(_classifier_tensors(bert, head)), folder / WEIGHTS, metadata={"format": "pt"})
    bert.tokenizer.no_padding()
    bert.tokenizer.no_truncation()
    bert.tokenizer.save(str(folder / TOKENIZER))
    (folder / TOKENIZER_CONFIG).write_text(json.dumps(_tokenizer_config(bert, longest), indent=2) + "\n")
    return [folder / name for name in (CONFIG, WEIGHTS, TOKENIZER, TOKENIZER_CONFIG)]


def _classifier_config(bert: Bert, outputs: int) -> dict[str, Any]:
    config = bert.config
    sizes = {name: getattr(config, name) for name in BertConfig.__dataclass_fields__}
    return {
        **sizes,
        "num_hidden_layers": config.num_hidden_layers + (bert.pooling == "mean"),
        "architectures": [CLASSES[config.model_type]],
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "num_labels": outputs,
        "id2label": {str(number): f"LABEL_{number}" for number in range(outputs)},
        "problem_type": "regression" if outputs == 1 else "multi_label_classification",
        "pooling": bert.pooling,
    }


def _tokenizer_config(bert: Bert, longest: int) -> dict[str, Any]:
    names = {"[PAD]": "pad_token", "<pad>": "pad_token", "[CLS]": "cls_token", "<s>": "cls_token"} | {
        "[SEP]": "sep_token", "</s>": "sep_token", "[UNK]": "unk_token", "<unk>": "unk_token",
    }  # fmt: skip
    special = {name: token for token, name in names.items() if bert.tokenizer.token_to_id(token) is not None}
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **special,
        "model_max_length": min(longest, bert.config.longest),
    }


def _classifier_tensors(bert: Bert, head: Head) -> Iterator[tuple[str, NDArray[np.float32]]]:
    stem, width = bert.config.model_type.removeprefix("xlm-"), bert.config.hidden_size
    network = unstacked(bert.weights)
    if bert.pooling == "mean":
        network |= _pooling_layer(bert)
    yield from ((f"{stem}.{name}", value) for name, value in network.items())
    dense, last = ("bert.pooler.dense", "classifier") if stem == "bert" else ("classifier.dense", "classifier.out_proj")
    yield f"{dense}.weight", np.eye(width, dtype=np.float32) * SMALL
    yield f"{dense}.bias", np.zeros(width, np.float32)
    direction = np.asarray(head["direction"], np.float32) / SMALL
    yield f"{last}.weight", np.tile(direction, (len(head["bias"]), 1))
    yield f"{last}.bias", np.asarray(head["bias"], np.float32)


def _pooling_layer(bert: Bert) -> Tensors:
    """The layer that gives every token the standardised mean of all tokens."""
    width = bert.config.hidden_size
    same = np.eye(width, dtype=np.float32)
    nonzero = {
        "attention.self.value.weight": same,
        "attention.output.dense.weight": same * LARGE,
        "attention.output.LayerNorm.weight": np.ones(width, np.float32),
        "output.LayerNorm.weight": np.ones(width, np.float32),
    }
    empty = {name: np.zeros_like(bert.weights[f"layer.{name}"][0]) for name in layer_names()}
    added = bert.config.num_hidden_layers
    return {f"encoder.layer.{added}.{name}": nonzero.get(name, empty[name]) for name in layer_names()}


def load_classifier(folder: Path) -> tuple[Bert, Head]:
    """What `save_classifier` wrote: the encoder without the layer that pools, and the head."""
    bert = load_bert(folder)
    prefix = "classifier." if bert.config.model_type == "bert" else "classifier.out_proj."
    tensors = load_file(folder / WEIGHTS)
    head = {"direction": tensors[f"{prefix}weight"][0] * SMALL, "bias": tensors[f"{prefix}bias"]}
    if bert.pooling == "first":
        return bert, head
    layers = bert.config.num_hidden_layers - 1
    weights = {name: value[:layers] if name.startswith("layer.") else value for name, value in bert.weights.items()}
    return replace(bert, config=replace(bert.config, num_hidden_layers=layers), weights=weights), head
