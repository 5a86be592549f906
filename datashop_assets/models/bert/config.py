"""What differs between BERT-type encoders, as data, read from a `config.json` and written as one.

Three architectures are one network (`model.py`) with these options:

| | BERT, RoBERTa | gte-v1.5 (`NewModel`, in transformers `GteModel`) | ModernBERT |
|---|---|---|---|
| positions | a learned table | rotary, with NTK scaling where configured | rotary, with a theta for local layers |
| attention | to all tokens | to all tokens | to all tokens, or to a window around each |
| feed-forward part | GELU | gated by GELU | gated by GELU |
| layer normalisation | of what is carried on | of what is carried on | of what a layer reads |
| biases | everywhere | but on the gated products | where configured, usually nowhere |

Sources: arXiv:1810.04805 (BERT), arXiv:2407.19669 (gte), arXiv:2412.13663 (ModernBERT); rotary positions are those of
arXiv:2104.09864. A variant that is not computed here is refused by field and value, never computed as something else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROBERTA = ("roberta", "xlm-roberta")
GTE = ("new", "gte")  # as its authors' folders name it, and as transformers does
SIZES = (
    "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
    "max_position_embeddings",
)  # fmt: skip
FULL, SLIDING = "full_attention", "sliding_attention"


@dataclass(frozen=True, slots=True)
class Rotary:
    """At position t, pair i of a head of width d is turned by t * theta^(-2i / d) / factor.

    `factor` is that of linear scaling. NTK scaling by f is theta * f with the factor f^(2 / d), as gte-v1.5 has it.
    """

    theta: float
    factor: float = 1.0

    def turns(self, positions: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Cosines and sines [positions, width / 2], from angles in float32 as in the reference implementations."""
        frequencies = 1.0 / np.float32(self.theta) ** (np.arange(0, width, 2, dtype=np.float32) / width) / self.factor
        angles = np.arange(positions, dtype=np.float32)[:, None] * frequencies.astype(np.float32)
        return np.cos(angles), np.sin(angles)


@dataclass(frozen=True, slots=True)
class BertConfig:
    """Sizes of an encoder, under the names of a Hugging Face `config.json`, and the options of its architecture."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    max_position_embeddings: int
    type_vocab_size: int = 2
    layer_norm_eps: float = 1e-12
    pad_token_id: int = 0
    model_type: str = "bert"
    rotary: Rotary | None = None  # None: positions are a learned table
    gated: bool = False
    pre_norm: bool = False  # layers add to a sum that is not normed, and read it through a norm
    attention_bias: bool = True
    inner_bias: bool = True  # of the products into the feed-forward part
    output_bias: bool = True  # of the product out of it
    norm_bias: bool = True
    local_layers: tuple[bool, ...] = ()  # of every layer, whether it sees a window; (): none does
    window: int = 0  # tokens on each side that a local layer sees
    local_rotary: Rotary | None = None  # of local layers

    @classmethod
    def from_hugging_face(cls, config: Mapping[str, Any]) -> "BertConfig":
        """Reads the mapping of a `config.json`. Raises `ValueError` for a variant that is not computed here."""
        fields = _Fields(config)
        fields.must_be("model_type", "bert", *ROBERTA, "modernbert", *GTE)
        sizes: dict[str, Any] = {name: fields.count(name) for name in SIZES}
        if sizes["hidden_size"] % (2 * sizes["num_attention_heads"]):
            raise fields.refusal("num_attention_heads", "a number of heads of equal and even width")
        match config.get("model_type", "bert"):
            case "modernbert":
                return cls(**sizes, **_modernbert(fields, sizes["num_hidden_layers"]))
            case "new" | "gte":
                return cls(**sizes, **_gte(fields, sizes["hidden_size"] // sizes["num_attention_heads"]))
        fields.must_be("hidden_act", "gelu")
        fields.must_be("position_embedding_type", "absolute")
        named = ("type_vocab_size", "layer_norm_eps", "pad_token_id", "model_type")
        return cls(**sizes, **{name: config[name] for name in named if name in config})

    def hugging_face(self) -> dict[str, Any]:
        """The fields of a `config.json` from which transformers builds this network."""
        fields = {name: getattr(self, name) for name in SIZES} | {"model_type": self.model_type}
        if self.model_type == "modernbert":
            return fields | _modernbert_fields(self)
        fields |= {"type_vocab_size": self.type_vocab_size, "layer_norm_eps": self.layer_norm_eps, "hidden_act": "gelu"}
        fields |= {"pad_token_id": self.pad_token_id, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
        return fields | ({"rope_parameters": _parameters(self.rotary)} if self.rotary else {})

    @property
    def head_width(self) -> int:
        return self.hidden_size // self.num_attention_heads

    @property
    def first_position(self) -> int:
        """The row of the position embeddings that a text's first token has: RoBERTa counts on from its padding."""
        return self.pad_token_id + 1 if self.model_type in ROBERTA else 0

    @property
    def longest(self) -> int:
        """The most tokens that a text may have, `[CLS]` and `[SEP]` included."""
        return self.max_position_embeddings - self.first_position

    def flops(self, length: int) -> int:
        """Floating-point operations of one pass over a text of `length` tokens.

        Two a weight that multiplies and token, and four a layer, head width and attended token.
        """
        inner = (3 if self.gated else 2) * self.hidden_size * self.intermediate_size
        multiplied = self.num_hidden_layers * (4 * self.hidden_size**2 + inner)
        local = sum(self.local_layers)
        attended = (self.num_hidden_layers - local) * length + local * min(length, 2 * self.window + 1)
        return length * (2 * multiplied + 4 * self.hidden_size * attended)


def _modernbert(fields: "_Fields", layers: int) -> dict[str, Any]:
    fields.must_be("hidden_activation", "gelu")
    window = fields.count("local_attention", 128)
    kinds = fields.config.get("layer_types")
    if kinds is None:
        every = fields.count("global_attn_every_n_layers", 3)
        kinds = [SLIDING if layer % every else FULL for layer in range(layers)]
    if not isinstance(kinds, list) or len(kinds) != layers or not set(kinds) <= {FULL, SLIDING}:
        raise fields.refusal("layer_types", f"{FULL} or {SLIDING} for each of {layers} layers")
    parameters = fields.config.get("rope_parameters") or {}
    scaling = fields.config.get("rope_scaling") or {}
    rotary = {}
    for kind, theta, usual in ((FULL, "global_rope_theta", 160_000.0), (SLIDING, "local_rope_theta", 10_000.0)):
        given = {theta: usual, **fields.config, **scaling, **(parameters.get(kind) or {})}
        rotary[kind] = _rotary(_Fields(given, f"rope_parameters.{kind}."), theta, ("default", "linear"))
    return {
        "type_vocab_size": 0,
        "layer_norm_eps": fields.number("norm_eps", 1e-5),
        "pad_token_id": fields.config.get("pad_token_id", 50283),
        "model_type": "modernbert",
        "rotary": rotary[FULL],
        "gated": True,
        "pre_norm": True,
        "attention_bias": bool(fields.config.get("attention_bias", False)),
        "inner_bias": bool(fields.config.get("mlp_bias", False)),
        "output_bias": bool(fields.config.get("mlp_bias", False)),
        "norm_bias": bool(fields.config.get("norm_bias", False)),
        "local_layers": tuple(kind == SLIDING for kind in kinds),
        "window": window // 2,
        "local_rotary": rotary[SLIDING],
    }


def _modernbert_fields(config: BertConfig) -> dict[str, Any]:
    assert config.rotary
    assert config.local_rotary
    kinds = [SLIDING if local else FULL for local in config.local_layers]
    periods = range(1, len(kinds) + 1)
    every = [n for n in periods if all((layer % n > 0) == local for layer, local in enumerate(config.local_layers))]
    return {
        "norm_eps": config.layer_norm_eps,
        "pad_token_id": config.pad_token_id,
        **dict.fromkeys(("bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id")),  # the tokenizer's to know
        "hidden_activation": "gelu",
        "attention_bias": config.attention_bias,
        "mlp_bias": config.inner_bias,
        "norm_bias": config.norm_bias,
        "local_attention": 2 * config.window,
        "layer_types": kinds,
        "rope_parameters": {FULL: _parameters(config.rotary), SLIDING: _parameters(config.local_rotary)},
        "global_rope_theta": config.rotary.theta,  # here and below: what transformers 4 reads
        "local_rope_theta": config.local_rotary.theta,
        **({"global_attn_every_n_layers": every[0]} if every else {}),
    }


def _gte(fields: "_Fields", width: int) -> dict[str, Any]:
    fields.must_be("hidden_act", "gelu")
    fields.must_be("layer_norm_type", "layer_norm")
    fields.must_be("position_embedding_type", "rope")
    fields.must_be("logn_attention_scale", False)
    fields.must_be("pack_qkv", True)
    new = fields.config["model_type"] == "new"
    place = "rope_scaling" if new else "rope_parameters"
    given = {"rope_theta": 10_000.0 if new else 160_000.0, **fields.config, **(fields.config.get(place) or {})}
    scaling = _Fields(given, f"{place}.")
    scaling.must_be("mixed_b", None)
    return {
        "type_vocab_size": fields.config.get("type_vocab_size", 1),
        "layer_norm_eps": fields.number("layer_norm_eps", 1e-12),
        "pad_token_id": fields.config.get("pad_token_id") or 0,
        "model_type": "gte",
        "rotary": _rotary(scaling, "rope_theta", ("default", "ntk" if new else "linear"), width),
        "gated": True,
        "inner_bias": False,
    }


def _rotary(fields: "_Fields", theta: str, computed: tuple[str, ...], width: int = 0) -> Rotary:
    """The rotary positions of merged `fields`, where those of a part stand over those of the whole configuration."""
    kind = "rope_type" if "rope_type" in fields.config else "type"
    fields.must_be(kind, *computed)
    fields.must_be("partial_rotary_factor", 1.0)
    base = fields.number("rope_theta" if "rope_theta" in fields.config else theta)
    match fields.config.get(kind, "default"):
        case "linear":
            return Rotary(base, fields.number("factor", least=1.0))
        case "ntk":
            factor = fields.number("factor", least=1.0)
            return Rotary(base * factor, factor ** (2 / width))
    return Rotary(base)


def _parameters(rotary: Rotary) -> dict[str, Any]:
    if rotary.factor == 1.0:
        return {"rope_type": "default", "rope_theta": rotary.theta}
    return {"rope_type": "linear", "rope_theta": rotary.theta, "factor": rotary.factor}


@dataclass(frozen=True, slots=True)
class _Fields:
    """A configuration's fields, checked as they are read. `within` names the part of the file that they stand in."""

    config: Mapping[str, Any]
    within: str = ""

    def must_be(self, name: str, *computed: Any) -> None:
        """Raises `ValueError` unless the field is absent or one of the values that are computed here."""
        if self.config.get(name, computed[0]) not in computed:
            raise self.refusal(name, ", ".join(map(str, computed)))

    def count(self, name: str, usual: int | None = None) -> int:
        value = self.config.get(name, usual)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise self.refusal(name, "a whole number from 1")
        return value

    def number(self, name: str, usual: float | None = None, least: float = 0.0) -> float:
        value = self.config.get(name, usual)
        if not isinstance(value, int | float) or isinstance(value, bool) or value <= 0 or value < least:
            raise self.refusal(name, f"a number from {least:g}" if least else "a number above 0")
        return float(value)

    def refusal(self, name: str, computed: str) -> ValueError:
        said = f"is {self.config[name]!r}" if name in self.config else "is not there"
        return ValueError(
            f"config.json: {self.within}{name} {said}; computed here: {computed}; name an encoder of that kind"
        )
