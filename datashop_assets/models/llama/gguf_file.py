"""A Llama and its tokenizer out of one GGUF file, the format of llama.cpp.

Quantized tensors are turned into float32 once, when they are loaded (SmolLM2-135M: 0.6 GB, about two seconds), because
XLA multiplies no 4-bit matrices. llama.cpp stores the rows of query and key matrices with the pairs of a rotation side
by side; they are put back as halves, the order of `LlamaForCausalLM`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from gguf import GGUFReader, TokenType, dequantize
from jax.typing import DTypeLike
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from datashop_assets.models.llama.model import Llama, LlamaConfig
from datashop_assets.models.llama.weights import assemble

# llama.cpp's names of the parts of a layer, by the names of LlamaForCausalLM.
PARTS = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
WHOLE = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}

# How text is split before byte-pair merging, by the name in `tokenizer.ggml.pre`.
SPLITS: dict[str, Callable[[], Any]] = {
    "smollm": lambda: pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    ),
    "gpt-2": lambda: pre_tokenizers.ByteLevel(add_prefix_space=False),
}


class GGUF:
    """An opened GGUF file. Raises `ValueError` when it holds another architecture than Llama."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reader = GGUFReader(path)
        if (kind := self._value("general.architecture")) != "llama":
            raise ValueError(f"{path}: a model of architecture {kind!r}; only 'llama' is computed here.")
        self._tensors = {tensor.name: tensor for tensor in self._reader.tensors}

    @property
    def chat_template(self) -> str:
        """The Jinja template that turns a conversation into text; empty where the file has none."""
        return str(self._value("tokenizer.chat_template", ""))

    def config(self) -> LlamaConfig:
        heads, width = self._value("llama.attention.head_count"), self._value("llama.embedding_length")
        return LlamaConfig(
            vocab_size=int(self._tensors["token_embd.weight"].shape[1]),
            hidden_size=width,
            intermediate_size=self._value("llama.feed_forward_length"),
            num_hidden_layers=self._value("llama.block_count"),
            num_attention_heads=heads,
            num_key_value_heads=self._value("llama.attention.head_count_kv", heads),
            head_dim=self._value("llama.attention.key_length", width // heads),
            rope_theta=float(self._value("llama.rope.freq_base", 10_000.0)),
            rms_norm_eps=float(self._value("llama.attention.layer_norm_rms_epsilon")),
            tie_word_embeddings="output.weight" not in self._tensors,
            max_position_embeddings=self._value("llama.context_length"),
        )

    def model(self, *, dtype: DTypeLike = jnp.float32) -> Llama:
        """The network with its weights as float32, computing in `dtype`."""
        config = self.config()
        heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}

        def tensor(name: str) -> np.ndarray:
            stored = _gguf_name(name)
            quantized = self._tensors[stored]
            matrix = np.asarray(dequantize(quantized.data, quantized.tensor_type), dtype=np.float32)
            part = stored.split(".")[-2]
            return halves(matrix, heads[part]) if part in heads else matrix

        return assemble(config, tensor, dtype=dtype)

    def tokenizer(self) -> Tokenizer:
        """The byte-level BPE tokenizer. Raises `ValueError` for another kind or an unknown way to split text."""
        kind, split = self._value("tokenizer.ggml.model"), self._value("tokenizer.ggml.pre", "gpt-2")
        if kind != "gpt2" or split not in SPLITS:
            raise ValueError(f"{self.path}: tokenizer {kind!r} split by {split!r}; known: 'gpt2' by {sorted(SPLITS)}.")
        tokens = self._value("tokenizer.ggml.tokens")
        merges = [tuple(merge.split(" ")) for merge in self._value("tokenizer.ggml.merges")]
        tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=merges))
        tokenizer.pre_tokenizer = SPLITS[split]()
        tokenizer.decoder = decoders.ByteLevel()
        kinds = self._value("tokenizer.ggml.token_type")
        special = [token for token, kind in zip(tokens, kinds, strict=True) if kind == TokenType.CONTROL]
        tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
        return tokenizer

    def _value(self, name: str, default: Any = None) -> Any:
        field = self._reader.get_field(name)
        if field is None and default is None:
            raise ValueError(f"{self.path}: no field {name!r}; is it a whole GGUF export?")
        return default if field is None else field.contents()


def halves(matrix: np.ndarray, heads: int) -> np.ndarray:
    """[N * H, D] whose rows hold the pairs of a rotation side by side -> with the pairs as two halves of each head."""
    rows, width = matrix.shape
    return matrix.reshape(heads, rows // heads // 2, 2, width).swapaxes(1, 2).reshape(rows, width)


def _gguf_name(name: str) -> str:
    """model.layers.3.mlp.up_proj.weight -> blk.3.ffn_up.weight."""
    if not name.startswith("model.layers."):
        return f"{WHOLE[name.removesuffix('.weight')]}.weight"
    layer, part = name.removeprefix("model.layers.").removesuffix(".weight").split(".", 1)
    return f"blk.{layer}.{PARTS[part]}.weight"
