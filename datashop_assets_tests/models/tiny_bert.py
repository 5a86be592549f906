"""Small encoders of seeded weights and a tokenizer of letters, by architecture: folders that any library opens."""

import json
import string
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

WIDTH, INNER, LAYERS, HEADS, PLACES = 32, 48, 2, 4, 64
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
VOCABULARY = [*SPECIAL, *string.ascii_lowercase, *(f"##{letter}" for letter in string.ascii_lowercase)]


LOCAL = 8  # tokens that a local layer of ModernBERT sees, half of them on each side
MODERN = {
    "architectures": ["ModernBertModel"],
    "model_type": "modernbert",
    "num_hidden_layers": 4,
    "norm_eps": 1e-5,
    "hidden_activation": "gelu",
    "local_attention": LOCAL,
    "position_embedding_type": "absolute",  # as in the folders of its authors; nobody reads it
}
SIZES = {
    "vocab_size": len(VOCABULARY),
    "hidden_size": WIDTH,
    "intermediate_size": INNER,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "max_position_embeddings": PLACES,
    "pad_token_id": 0,
}
KINDS: dict[str, dict[str, object]] = {
    "bert": {"architectures": ["BertModel"], "model_type": "bert"},
    "xlm-roberta": {"architectures": ["XLMRobertaModel"], "model_type": "xlm-roberta"},
    "modernbert": {  # as its authors' folders are: layers 0 and 3 are global, nothing has a bias
        **MODERN,
        "global_attn_every_n_layers": 3,
        "global_rope_theta": 160_000.0,
        "local_rope_theta": 100.0,
        **dict.fromkeys(("attention_bias", "mlp_bias", "norm_bias"), False),
    },
    "modernbert, as transformers 5 writes it": {  # another order of layers, biases, linear scaling
        **MODERN,
        "layer_types": ["sliding_attention", "full_attention", "full_attention", "sliding_attention"],
        "rope_parameters": {
            "full_attention": {"rope_type": "linear", "rope_theta": 5000.0, "factor": 2.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 50.0},
        },
        **dict.fromkeys(("attention_bias", "mlp_bias", "norm_bias"), True),
    },
    "gte": {  # as gte-base-en-v1.5 is
        "architectures": ["NewModel"],
        "model_type": "new",
        "auto_map": {"AutoModel": "Alibaba-NLP/new-impl--modeling.NewModel"},
        "position_embedding_type": "rope",
        "layer_norm_type": "layer_norm",
        "rope_theta": 500_000,
        "rope_scaling": {"factor": 2.0, "type": "ntk"},
        "type_vocab_size": 0,
        **dict.fromkeys(("logn_attention_clip1", "logn_attention_scale", "unpad_inputs"), False),
        "pack_qkv": True,
    },
    "gte, as transformers 5 writes it": {
        "architectures": ["GteModel"],
        "model_type": "gte",
        "rope_parameters": {"rope_type": "default", "rope_theta": 20_000.0},
        "type_vocab_size": 1,
    },
}


def config_of(kind: str) -> dict[str, object]:
    bert = {"type_vocab_size": 2, "layer_norm_eps": 1e-12, "hidden_act": "gelu"}
    return {**SIZES, **({} if "modern" in kind else bert), **KINDS[kind]}


def tensors(kind: str = "bert") -> dict[str, NDArray[np.float32]]:
    """Weights under the names that the library of `kind` gives them, the same in every process."""
    random = np.random.default_rng(0)

    def drawn(*shape: int) -> NDArray[np.float32]:
        return (random.normal(size=shape) * 0.3).astype(np.float32)

    modules = _modernbert if "modern" in kind else _gte if "gte" in kind else _bert
    tables, products, norms = modules(kind)
    found = {f"{name}.weight": drawn(rows, WIDTH) for name, rows in tables.items()}
    for name, (*shape, bias) in products.items():
        found[f"{name}.weight"] = drawn(*shape)
        if bias:
            found[f"{name}.bias"] = drawn(shape[0])
    for name in norms:
        found[f"{name}.weight"] = 1 + drawn(WIDTH)
        if kind != "modernbert":
            found[f"{name}.bias"] = drawn(WIDTH)
    return found


Modules = tuple[dict[str, int], dict[str, tuple[int, int, bool]], list[str]]  # tables, products (has a bias), norms


def _bert(kind: str) -> Modules:
    tables = {"word": len(VOCABULARY), "position": PLACES, "token_type": 2}
    products: dict[str, tuple[int, int, bool]] = {}
    norms = ["embeddings.LayerNorm"]
    for layer in (f"encoder.layer.{number}" for number in range(LAYERS)):
        for name in ("self.query", "self.key", "self.value", "output.dense"):
            products[f"{layer}.attention.{name}"] = (WIDTH, WIDTH, True)
        products[f"{layer}.intermediate.dense"] = (INNER, WIDTH, True)
        products[f"{layer}.output.dense"] = (WIDTH, INNER, True)
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
    return {f"embeddings.{name}_embeddings": rows for name, rows in tables.items()}, products, norms


def _modernbert(kind: str) -> Modules:
    bias = kind != "modernbert"
    products: dict[str, tuple[int, int, bool]] = {}
    norms = ["embeddings.norm"]
    for number in range(4):
        layer = f"layers.{number}"
        products |= {f"{layer}.attn.Wqkv": (3 * WIDTH, WIDTH, bias), f"{layer}.attn.Wo": (WIDTH, WIDTH, bias)}
        products |= {f"{layer}.mlp.Wi": (2 * INNER, WIDTH, bias), f"{layer}.mlp.Wo": (WIDTH, INNER, bias)}
        norms += [f"{layer}.attn_norm"] * (number > 0) + [f"{layer}.mlp_norm"]
    return {"embeddings.tok_embeddings": len(VOCABULARY)}, products, [*norms, "final_norm"]


def _gte(kind: str) -> Modules:
    """A class with a head puts `new.` before its encoder's tensors, as in the folders of its authors' classifiers."""
    products: dict[str, tuple[int, int, bool]] = {}
    if kind == "gte":
        tables, norms = {"new.embeddings.word_embeddings": len(VOCABULARY)}, ["new.embeddings.LayerNorm"]
        for layer in (f"new.encoder.layer.{number}" for number in range(LAYERS)):
            products[f"{layer}.attention.qkv_proj"] = (3 * WIDTH, WIDTH, True)
            products[f"{layer}.attention.o_proj"] = (WIDTH, WIDTH, True)
            products[f"{layer}.mlp.up_gate_proj"] = (2 * INNER, WIDTH, False)
            products[f"{layer}.mlp.down_proj"] = (WIDTH, INNER, True)
            norms += [f"{layer}.attn_ln", f"{layer}.mlp_ln"]
        return tables, products, norms
    tables, norms = {"embeddings.word_embeddings": len(VOCABULARY)}, ["embeddings.LayerNorm"]
    for layer in (f"layers.{number}" for number in range(LAYERS)):
        products |= {f"{layer}.self_attn.{name}_proj": (WIDTH, WIDTH, True) for name in "qkvo"}
        products |= {f"{layer}.mlp.{name}_proj": (INNER, WIDTH, False) for name in ("up", "gate")}
        products[f"{layer}.mlp.down_proj"] = (WIDTH, INNER, True)
        norms += [f"{layer}.post_attention_layernorm", f"{layer}.post_mlp_layernorm"]
    return {**tables, "embeddings.token_type_embeddings": 1}, products, norms


def write_tiny(folder: Path, kind: str = "bert") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config_of(kind)))
    save_file(tensors(kind), folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer = Tokenizer(models.WordPiece({token: place for place, token in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)])
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder
