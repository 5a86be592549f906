"""Where every tensor of the network stands in a folder's files, by architecture.

Inside, tensors have their names in `BertModel`; the gate of a gated feed-forward part is `intermediate.gate`. Elsewhere
they have others, and some stand together in one: queries, keys and values, or both products into the feed-forward part.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datashop_assets.models.bert.config import ROBERTA, BertConfig

Tensors = dict[str, NDArray[np.float32]]
PREFIXES = ("bert", "roberta", "model", "gte", "new")  # what a class with a head puts before its encoder's tensors
QUERY, KEY, VALUE = (f"attention.self.{part}" for part in ("query", "key", "value"))
ATTENDED, INNER, GATE, OUTPUT = "attention.output.dense", "intermediate.dense", "intermediate.gate", "output.dense"
NORMS = ("attention.output.LayerNorm", "output.LayerNorm")


@dataclass(frozen=True, slots=True)
class TensorPlace:
    """A tensor in a file, or one of several equal parts along its first axis."""

    name: str
    part: int = 0
    parts: int = 1


@dataclass(frozen=True, slots=True)
class Layout:
    """Places of modules; `layers` are those of a layer, below `layer` with its number."""

    layer: str
    layers: Mapping[str, TensorPlace]
    embeddings: Mapping[str, TensorPlace]


SAME = {"embeddings.word_embeddings", "embeddings.position_embeddings", "embeddings.token_type_embeddings"}
SAME |= {"embeddings.LayerNorm"}
BERT = Layout(
    layer="encoder.layer.{}.",
    layers={name: TensorPlace(name) for name in (QUERY, KEY, VALUE, ATTENDED, INNER, OUTPUT, *NORMS)},
    embeddings={name: TensorPlace(name) for name in SAME},
)
GTE = Layout(  # as transformers writes it
    layer="layers.{}.",
    layers={
        QUERY: TensorPlace("self_attn.q_proj"),
        KEY: TensorPlace("self_attn.k_proj"),
        VALUE: TensorPlace("self_attn.v_proj"),
        ATTENDED: TensorPlace("self_attn.o_proj"),
        INNER: TensorPlace("mlp.up_proj"),
        GATE: TensorPlace("mlp.gate_proj"),
        OUTPUT: TensorPlace("mlp.down_proj"),
        NORMS[0]: TensorPlace("post_attention_layernorm"),
        NORMS[1]: TensorPlace("post_mlp_layernorm"),
    },
    embeddings=BERT.embeddings,
)
NEW = Layout(  # as its authors do
    layer="encoder.layer.{}.",
    layers={
        **{name: TensorPlace("attention.qkv_proj", part, 3) for part, name in enumerate((QUERY, KEY, VALUE))},
        **{name: TensorPlace("mlp.up_gate_proj", part, 2) for part, name in enumerate((INNER, GATE))},
        ATTENDED: TensorPlace("attention.o_proj"),
        OUTPUT: TensorPlace("mlp.down_proj"),
        NORMS[0]: TensorPlace("attn_ln"),
        NORMS[1]: TensorPlace("mlp_ln"),
    },
    embeddings=BERT.embeddings,
)
MODERNBERT = Layout(  # `output.LayerNorm`, through which the next layer reads, is named as the next layer's own
    layer="layers.{}.",
    layers={
        **{name: TensorPlace("attn.Wqkv", part, 3) for part, name in enumerate((QUERY, KEY, VALUE))},
        **{name: TensorPlace("mlp.Wi", part, 2) for part, name in enumerate((GATE, INNER))},
        ATTENDED: TensorPlace("attn.Wo"),
        OUTPUT: TensorPlace("mlp.Wo"),
        NORMS[0]: TensorPlace("mlp_norm"),
    },
    embeddings={
        "embeddings.word_embeddings": TensorPlace("embeddings.tok_embeddings"),
        "embeddings.LayerNorm": TensorPlace("embeddings.norm"),
    },
)


def embedding_shapes(config: BertConfig) -> dict[str, tuple[int, ...]]:
    """The shapes of the tensors before the layers."""
    rows = {"word": config.vocab_size, "token_type": config.type_vocab_size}
    if config.rotary is None:
        rows["position"] = config.max_position_embeddings
    shapes: dict[str, tuple[int, ...]] = {
        f"embeddings.{name}_embeddings.weight": (number, config.hidden_size) for name, number in rows.items() if number
    }
    return shapes | {f"embeddings.LayerNorm.{part}": (config.hidden_size,) for part in _norm_parts(config)}


def layer_shapes(config: BertConfig) -> dict[str, tuple[int, ...]]:
    """The shapes of a layer's tensors."""
    width, inner = config.hidden_size, config.intermediate_size
    products = dict.fromkeys((QUERY, KEY, VALUE, ATTENDED), (width, width, config.attention_bias))
    products |= dict.fromkeys((INNER, GATE)[: 1 + config.gated], (inner, width, config.inner_bias))
    products[OUTPUT] = (width, inner, config.output_bias)
    shapes: dict[str, tuple[int, ...]] = {}
    for name, (rows, columns, bias) in products.items():
        shapes |= {f"{name}.weight": (rows, columns)} | ({f"{name}.bias": (rows,)} if bias else {})
    return shapes | {f"{norm}.{part}": (width,) for norm in NORMS for part in _norm_parts(config)}


def _norm_parts(config: BertConfig) -> tuple[str, ...]:
    return ("weight", "bias") if config.norm_bias else ("weight",)


def shapes(config: BertConfig) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor of the network, those of layers stacked."""
    layers = config.num_hidden_layers
    return embedding_shapes(config) | {f"layer.{name}": (layers, *one) for name, one in layer_shapes(config).items()}


def unstacked(weights: Mapping[str, NDArray[np.float32]], config: BertConfig) -> Tensors:
    """The tensors one a layer, `encoder.layer.<n>.<name>`, as `BertModel` has them."""
    tensors = {name: np.asarray(weights[name]) for name in embedding_shapes(config)}
    for name in layer_shapes(config):
        for layer, part in enumerate(weights[f"layer.{name}"]):
            tensors[f"encoder.layer.{layer}.{name}"] = np.ascontiguousarray(part)
    return tensors


def stacked(tensors: Mapping[str, NDArray[np.float32]], config: BertConfig) -> Tensors:
    """What `unstacked` was made from."""
    weights = {name: tensors[name] for name in embedding_shapes(config)}
    for name in layer_shapes(config):
        parts = [tensors[f"encoder.layer.{layer}.{name}"] for layer in range(config.num_hidden_layers)]
        weights[f"layer.{name}"] = np.stack(parts)
    return weights


def read_tensors(config: BertConfig, names: set[str], tensor: Callable[[str], NDArray[np.float32]]) -> Tensors:
    """The network out of files that hold `names`, without the prefix of a class with a head; layers stacked.

    Raises `ValueError` where a tensor has another shape than the configuration says.
    """
    found, sizes = {}, embedding_shapes(config)
    for ours, place in _places(config, _layout(config, names)).items():
        rows, *columns = sizes.get(ours) or layer_shapes(config)[ours.split(".", 3)[3]]
        whole = tensor(place.name)
        if whole.shape != (rows * place.parts, *columns):
            wanted = (rows * place.parts, *columns)
            raise ValueError(f"tensor {place.name!r} is of shape {whole.shape}, by config.json of {wanted}; correct it")
        found[ours] = whole[rows * place.part : rows * (place.part + 1)]
    return stacked(found, config)


def written_tensors(config: BertConfig, tensors: Tensors) -> Tensors:
    """Tensors one a layer under the names that transformers reads, without the prefix of a class with a head."""
    parts: dict[str, list[NDArray[np.float32]]] = {}
    for ours, place in sorted(_places(config, _layout(config, set())).items(), key=lambda item: item[1].part):
        parts.setdefault(place.name, []).append(tensors[ours])
    return {name: np.concatenate(each) if len(each) > 1 else each[0] for name, each in parts.items()}


def _layout(config: BertConfig, names: set[str]) -> Layout:
    if config.model_type == "modernbert":
        return MODERNBERT
    if config.model_type in ("bert", *ROBERTA):
        return BERT
    return NEW if any(name.startswith("encoder.") for name in names) else GTE


def _places(config: BertConfig, layout: Layout) -> dict[str, TensorPlace]:
    """Where each tensor stands, by its name one a layer."""
    places = {}
    for name in embedding_shapes(config):
        module, _, kind = name.rpartition(".")
        places[name] = TensorPlace(f"{layout.embeddings[module].name}.{kind}")
    for layer in range(config.num_hidden_layers):
        for name in layer_shapes(config):
            module, _, kind = name.rpartition(".")
            if module in layout.layers:
                place = layout.layers[module]
                whole = f"{layout.layer.format(layer)}{place.name}.{kind}"
                places[f"encoder.layer.{layer}.{name}"] = TensorPlace(whole, place.part, place.parts)
            else:
                last = layer + 1 == config.num_hidden_layers
                norm = "final_norm" if last else f"{layout.layer.format(layer + 1)}attn_norm"
                places[f"encoder.layer.{layer}.{name}"] = TensorPlace(f"{norm}.{kind}")
    return places
