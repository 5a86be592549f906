"""An encoder with its head as a folder that `AutoModelForSequenceClassification` loads, with equal scores.

Those classes read the first token through a dense layer and a tanh. Two exact detours lead there:
- tanh is linear near 0: features are scaled by 2^-12 on their way in, and the classifier by 2^12 on its way out. Both
  are powers of two, so nothing is rounded; what tanh bends is below 1e-6 for features up to 8.
- A mean over tokens is one more layer: queries and keys of zero attend to all tokens alike (and to no padding), the
  dense layer after them multiplies by 2^27 so that the skip connection is rounded away, the layer normalisation takes
  that factor out and leaves the standardised mean, and the feed-forward part adds zero.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from datashop_assets.models.bert import BertConfig
from datashop_assets.models.bert_weights import CONFIG, TOKENIZER, Bert, Tensors, layer_names, load_bert, unstacked
from datashop_assets.models.heads import Head

WEIGHTS, SETTINGS = "model.safetensors", "tokenizer_config.json"
SMALL, LARGE = np.float32(2.0**-12), np.float32(2.0**27)
CLASSES = {
    "bert": "BertForSequenceClassification",
    "roberta": "RobertaForSequenceClassification",
    "xlm-roberta": "XLMRobertaForSequenceClassification",
}


def save_classifier(bert: Bert, head: Head, longest: int, folder: Path) -> list[Path]:
    """Writes the folder and returns its files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(json.dumps(_config(bert, len(head["bias"])), indent=2) + "\n")
    save_file(dict(_tensors(bert, head)), folder / WEIGHTS, metadata={"format": "pt"})
    bert.tokenizer.no_padding()
    bert.tokenizer.no_truncation()
    bert.tokenizer.save(str(folder / TOKENIZER))
    (folder / SETTINGS).write_text(json.dumps(_settings(bert, longest), indent=2) + "\n")
    return [folder / name for name in (CONFIG, WEIGHTS, TOKENIZER, SETTINGS)]


def load_classifier(folder: Path) -> tuple[Bert, Head]:
    """What `save_classifier` wrote: the encoder without the layer that pools, and the head."""
    found = load_bert(folder)
    prefix = "classifier." if found.config.model_type == "bert" else "classifier.out_proj."
    tensors = load_file(folder / WEIGHTS)
    head = {"direction": tensors[f"{prefix}weight"][0] * SMALL, "bias": tensors[f"{prefix}bias"]}
    if found.pooling == "first":
        return found, head
    layers = found.config.num_hidden_layers - 1
    weights = {name: value[:layers] if name.startswith("layer.") else value for name, value in found.weights.items()}
    return replace(found, config=replace(found.config, num_hidden_layers=layers), weights=weights), head


def _config(bert: Bert, outputs: int) -> dict[str, Any]:
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


def _settings(bert: Bert, longest: int) -> dict[str, Any]:
    names = {"[PAD]": "pad_token", "<pad>": "pad_token", "[CLS]": "cls_token", "<s>": "cls_token"} | {
        "[SEP]": "sep_token", "</s>": "sep_token", "[UNK]": "unk_token", "<unk>": "unk_token",
    }  # fmt: skip
    special = {name: token for token, name in names.items() if bert.tokenizer.token_to_id(token) is not None}
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **special,
        "model_max_length": min(longest, bert.config.longest),
    }


def _tensors(bert: Bert, head: Head) -> Iterator[tuple[str, NDArray[np.float32]]]:
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
    place, width = bert.config.num_hidden_layers, bert.config.hidden_size
    same = np.eye(width, dtype=np.float32)
    told = {
        "attention.self.value.weight": same,
        "attention.output.dense.weight": same * LARGE,
        "attention.output.LayerNorm.weight": np.ones(width, np.float32),
        "output.LayerNorm.weight": np.ones(width, np.float32),
    }
    empty = {name: np.zeros_like(bert.weights[f"layer.{name}"][0]) for name in layer_names()}
    return {f"encoder.layer.{place}.{name}": told.get(name, empty[name]) for name in layer_names()}
