"""An encoder with its head as a folder that `AutoModelForSequenceClassification` loads, with equal scores.

Those classes read a text through layers that a head here has not: exact detours lead through them.
- BERT, RoBERTa and gte read the first token through a dense layer and a tanh, which is linear near 0: features are
  scaled by 2^-12 on their way in, and the classifier by 2^12 on its way out. Both are powers of two, so nothing is
  rounded; what tanh bends is below 1e-6 for features up to 8.
- There a mean over tokens is one more layer: queries and keys of zero attend to all tokens alike (and to no padding),
  the dense layer after them multiplies by 2^27 so that the skip connection is rounded away, the layer normalisation
  takes that factor out and leaves the standardised mean, and the feed-forward part adds zero.
- ModernBERT reads the mean, or the first token, through a dense layer, an activation (here none) and a layer
  normalisation. A mean is to be standardised, which that normalisation does, its epsilon made small by a factor of
  2^12. Of a first token the dense layer leaves the score alone, as a pair of opposite numbers so small that the
  normalisation divides by the root of its epsilon and nothing else.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from datashop_assets.models.bert.config import ROBERTA
from datashop_assets.models.bert.heads import Head
from datashop_assets.models.bert.model import Bert
from datashop_assets.models.bert.names import (
    ATTENDED,
    NORMS,
    VALUE,
    Tensors,
    layer_shapes,
    unstacked,
    written_tensors,
)
from datashop_assets.models.bert.weights import CONFIG, TOKENIZER, load_bert

WEIGHTS, TOKENIZER_CONFIG = "model.safetensors", "tokenizer_config.json"
SMALL, STANDARDISED, LARGE = np.float32(2.0**-12), np.float32(2.0**12), np.float32(2.0**27)
CLASSES = {
    "bert": ("BertForSequenceClassification", "bert."),
    "roberta": ("RobertaForSequenceClassification", "roberta."),
    "xlm-roberta": ("XLMRobertaForSequenceClassification", "roberta."),
    "gte": ("GteForSequenceClassification", "gte."),
    "modernbert": ("ModernBertForSequenceClassification", "model."),
}


def save_classifier(bert: Bert, head: Head, longest: int, folder: Path) -> list[Path]:
    """Writes the folder and returns its files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(json.dumps(_classifier_config(bert, len(head["bias"])), indent=2) + "\n")
    save_file(_classifier_tensors(bert, head), folder / WEIGHTS, metadata={"format": "pt"})
    bert.tokenizer.no_padding()
    bert.tokenizer.no_truncation()
    bert.tokenizer.save(str(folder / TOKENIZER))
    (folder / TOKENIZER_CONFIG).write_text(json.dumps(_tokenizer_config(bert, longest), indent=2) + "\n")
    return [folder / name for name in (CONFIG, WEIGHTS, TOKENIZER, TOKENIZER_CONFIG)]


def _classifier_config(bert: Bert, outputs: int) -> dict[str, Any]:
    fields = replace(bert.config, num_hidden_layers=_exported_layers(bert)).hugging_face()
    if bert.config.model_type == "modernbert":
        fields |= {"classifier_pooling": "mean" if bert.pooling == "mean" else "cls"}
        fields |= {"classifier_activation": "linear", "classifier_bias": False}
    return {
        **fields,
        "architectures": [CLASSES[bert.config.model_type][0]],
        "num_labels": outputs,
        "id2label": {str(number): f"LABEL_{number}" for number in range(outputs)},
        "problem_type": "regression" if outputs == 1 else "multi_label_classification",
        "pooling": bert.pooling,
    }


def _tokenizer_config(bert: Bert, longest: int) -> dict[str, Any]:
    names = {
        "[PAD]": "pad_token",
        "<pad>": "pad_token",
        "[UNK]": "unk_token",
        "<unk>": "unk_token",
        "[CLS]": "cls_token",
        "<s>": "cls_token",
        "<bos>": "cls_token",
        "[SEP]": "sep_token",
        "</s>": "sep_token",
        "<eos>": "sep_token",
    }
    special = {name: token for token, name in names.items() if bert.tokenizer.token_to_id(token) is not None}
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **special,
        "model_max_length": min(longest, bert.config.longest),
        **({} if bert.config.type_vocab_size else {"model_input_names": ["input_ids", "attention_mask"]}),
    }


def _classifier_tensors(bert: Bert, head: Head) -> Tensors:
    config, prefix = bert.config, CLASSES[bert.config.model_type][1]
    network = unstacked(bert.weights, config)
    if added := _exported_layers(bert) - config.num_hidden_layers:
        network |= _pooling_layer(bert)
    exported = replace(config, num_hidden_layers=config.num_hidden_layers + added)
    tensors = {f"{prefix}{name}": value for name, value in written_tensors(exported, network).items()}
    return tensors | (_modernbert_head if config.model_type == "modernbert" else _tanh_head)(bert, head)


def _exported_layers(bert: Bert) -> int:
    """Those of the network, and one that pools by mean where the class has no such pooling."""
    return bert.config.num_hidden_layers + (bert.pooling == "mean" and bert.config.model_type != "modernbert")


def _pooling_layer(bert: Bert) -> Tensors:
    """The layer that gives every token the standardised mean of all tokens."""
    same = np.eye(bert.config.hidden_size, dtype=np.float32)
    ones = np.ones(bert.config.hidden_size, np.float32)
    nonzero = {f"{VALUE}.weight": same, f"{ATTENDED}.weight": same * LARGE}
    nonzero |= {f"{norm}.weight": ones for norm in NORMS}
    layer = f"encoder.layer.{bert.config.num_hidden_layers}"
    return {
        f"{layer}.{name}": nonzero.get(name, np.zeros(shape, np.float32))
        for name, shape in layer_shapes(bert.config).items()
    }


def _tanh_head(bert: Bert, head: Head) -> Tensors:
    dense, last = _tanh_names(bert.config.model_type)
    width, outputs = bert.config.hidden_size, len(head["bias"])
    return {
        f"{dense}.weight": np.eye(width, dtype=np.float32) * SMALL,
        f"{dense}.bias": np.zeros(width, np.float32),
        f"{last}.weight": np.tile(np.asarray(head["direction"], np.float32) / SMALL, (outputs, 1)),
        f"{last}.bias": np.asarray(head["bias"], np.float32),
    }


def _tanh_names(model_type: str) -> tuple[str, str]:
    if model_type in ROBERTA:
        return "classifier.dense", "classifier.out_proj"
    return f"{CLASSES[model_type][1]}pooler.dense", "classifier"


def _modernbert_head(bert: Bert, head: Head) -> Tensors:
    width, direction = bert.config.hidden_size, np.asarray(head["direction"], np.float32)
    if bert.pooling == "mean":
        dense, last = np.eye(width, dtype=np.float32) * STANDARDISED, direction
    else:
        dense, last = np.zeros((width, width), np.float32), np.zeros(width, np.float32)
        small = _linear(bert.config.layer_norm_eps)
        dense[0], dense[1] = direction * small, -direction * small
        last[0] = np.sqrt(bert.config.layer_norm_eps) / small / 2
        last[1] = -last[0]
    tensors = {
        "head.dense.weight": dense,
        "head.norm.weight": np.ones(width, np.float32),
        "classifier.weight": np.tile(last, (len(head["bias"]), 1)),
        "classifier.bias": np.asarray(head["bias"], np.float32),
    }
    return tensors | ({"head.norm.bias": np.zeros(width, np.float32)} if bert.config.norm_bias else {})


def _linear(epsilon: float) -> np.float32:
    """A power of two so small that a layer normalisation of scores below 100 times it is linear to 1e-7."""
    return np.float32(2.0 ** (np.floor(np.log2(np.sqrt(epsilon))) - 18))


def load_classifier(folder: Path) -> tuple[Bert, Head]:
    """What `save_classifier` wrote: the encoder without the layer that pools, and the head."""
    bert, tensors = load_bert(folder), load_file(folder / WEIGHTS)
    config = bert.config
    if config.model_type == "modernbert":
        if bert.pooling == "mean":
            direction = tensors["classifier.weight"][0]
        else:
            direction = tensors["head.dense.weight"][0] / _linear(config.layer_norm_eps)
        return bert, {"direction": direction, "bias": tensors["classifier.bias"]}
    _, last = _tanh_names(config.model_type)
    head = {"direction": tensors[f"{last}.weight"][0] * SMALL, "bias": tensors[f"{last}.bias"]}
    if bert.pooling == "first":
        return bert, head
    layers = config.num_hidden_layers - 1
    weights = {name: value[:layers] if name.startswith("layer.") else value for name, value in bert.weights.items()}
    return replace(bert, config=replace(config, num_hidden_layers=layers), weights=weights), head
