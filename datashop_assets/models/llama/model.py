"""The Llama decoder: layers of `attention.py` and a gated feed-forward, each behind an RMSNorm.

Layers are stacked and scanned, so that a program compiles in about the time of one layer whatever the depth; the price
is one copy of a layer's weights a step, under 2% of the arithmetic at 1,000 tokens. The network is that of
LLaMA (Touvron et al., 2023, arXiv:2302.13971), its parts named as in Hugging Face `LlamaForCausalLM`. Its loss never
holds the logits of a whole batch: those of 8 rows of 4,096 tokens over 128,256 tokens would be 17 GB in float32, and
their gradient as much again.

Letters in shapes: B batch, T tokens, P prefix tokens, D hidden width, V vocabulary.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.typing import DTypeLike

from datashop_assets.models.attention import (
    PLAIN,
    Attend,
    Attention,
    Computing,
    KeysValues,
    RopeScaling,
    Rotation,
    causal_mask,
    linear,
    masked,
    rotary,
    splash,
)

# Axes of every weight but the norms', inputs first; layers are stacked before them.
WEIGHT_AXES: Mapping[str, tuple[str, str]] = {
    "embed_tokens": ("vocabulary", "width"),
    "lm_head": ("width", "vocabulary"),
    "q_proj": ("width", "heads"),
    "k_proj": ("width", "heads"),
    "v_proj": ("width", "heads"),
    "o_proj": ("heads", "width"),
    "gate_proj": ("width", "hidden"),
    "up_proj": ("width", "hidden"),
    "down_proj": ("hidden", "width"),
}

HELD = 1 << 25  # logits held at once on a device: 128 MB in float32


@dataclass(frozen=True, slots=True)
class LlamaConfig:
    """Sizes of a Llama, under the names of a Hugging Face `config.json`."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    rope_theta: float = 10_000.0
    rms_norm_eps: float = 1e-5
    tie_word_embeddings: bool = True
    max_position_embeddings: int = 2048
    rope_scaling: RopeScaling | None = None

    @property
    def parameters(self) -> int:
        """Weights of the model."""
        heads, key_heads = self.num_attention_heads, self.num_key_value_heads
        attention = self.hidden_size * self.head_dim * 2 * (heads + key_heads)
        layer = attention + 3 * self.hidden_size * self.intermediate_size + 2 * self.hidden_size
        embedding = self.vocab_size * self.hidden_size * (1 if self.tie_word_embeddings else 2)
        return self.num_hidden_layers * layer + embedding + self.hidden_size

    def training_flops(self, length: int) -> int:
        """Floating-point operations to train on one token, forward and backward, in rows of `length` tokens.

        Six a weight that multiplies (an embedding that is only looked up does not) and 12 a layer, head width and
        attended token, the full square counted, as Chowdhery et al. do (2022, arXiv:2204.02311, appendix B). What is
        recomputed is not counted.
        """
        looked_up = 0 if self.tie_word_embeddings else self.vocab_size * self.hidden_size
        attended = self.num_hidden_layers * self.num_attention_heads * self.head_dim * length
        return 6 * (self.parameters - looked_up) + 12 * attended

    @classmethod
    def from_hugging_face(cls, config: Mapping[str, Any]) -> "LlamaConfig":
        """Reads the mapping of a `config.json`. Raises `ValueError` for a variant that is not computed here."""
        rope = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
        _refuse_variants(config, rope)
        heads = config["num_attention_heads"]
        return cls(
            vocab_size=config["vocab_size"],
            hidden_size=config["hidden_size"],
            intermediate_size=config["intermediate_size"],
            num_hidden_layers=config["num_hidden_layers"],
            num_attention_heads=heads,
            num_key_value_heads=config.get("num_key_value_heads") or heads,
            head_dim=config.get("head_dim") or config["hidden_size"] // heads,
            rope_theta=float(rope.get("rope_theta") or config.get("rope_theta") or 10_000.0),
            rms_norm_eps=config.get("rms_norm_eps", 1e-6),
            tie_word_embeddings=config.get("tie_word_embeddings", False),
            max_position_embeddings=config.get("max_position_embeddings", 2048),
            rope_scaling=_rope_scaling(rope),
        )

    def to_hugging_face(self) -> dict[str, Any]:
        """The mapping for a `config.json` that `LlamaForCausalLM` reads, in transformers 4 and 5 alike."""
        return {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            **{name: value for name, value in asdict(self).items() if name != "rope_scaling"},
            "rope_parameters": {"rope_theta": self.rope_theta, **_rope_type(self.rope_scaling)},
            "hidden_act": "silu",
            "attention_bias": False,
            "mlp_bias": False,
            "torch_dtype": "float32",
        }


def _refuse_variants(config: Mapping[str, Any], rope: Mapping[str, Any]) -> None:
    wanted = {"model_type": "llama", "hidden_act": "silu", "attention_bias": False, "mlp_bias": False}
    for field, value in wanted.items():
        if config.get(field, value) != value:
            raise ValueError(f"config.json: {field} is {config[field]!r}; only {value!r} is computed here.")
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind not in {"default", "llama3"}:
        raise ValueError(
            f"config.json: rotary positions of type {kind!r}; only 'default' is computed here, and 'llama3'."
        )


def _rope_scaling(rope: Mapping[str, Any]) -> RopeScaling | None:
    if rope.get("rope_type", rope.get("type", "default")) == "default":
        return None
    return RopeScaling(
        factor=float(rope["factor"]),
        low=float(rope["low_freq_factor"]),
        high=float(rope["high_freq_factor"]),
        original=rope["original_max_position_embeddings"],
    )


def _rope_type(scaling: RopeScaling | None) -> dict[str, Any]:
    if scaling is None:
        return {"rope_type": "default"}
    return {
        "rope_type": "llama3",
        "factor": scaling.factor,
        "low_freq_factor": scaling.low,
        "high_freq_factor": scaling.high,
        "original_max_position_embeddings": scaling.original,
    }


class SwiGLU(nnx.Module):
    """The gated feed-forward layer (Shazeer, 2020, arXiv:2002.05202)."""

    def __init__(self, config: LlamaConfig, *, dtype: DTypeLike, rngs: nnx.Rngs) -> None:
        self.gate_proj = linear(config.hidden_size, config.intermediate_size, dtype=dtype, rngs=rngs)
        self.up_proj = linear(config.hidden_size, config.intermediate_size, dtype=dtype, rngs=rngs)
        self.down_proj = linear(config.intermediate_size, config.hidden_size, dtype=dtype, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """[B, T, D] -> [B, T, D]."""
        return self.down_proj(jax.nn.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nnx.Module):
    """One layer: attention and feed-forward, each normalised before and added to what came in."""

    def __init__(self, config: LlamaConfig, *, dtype: DTypeLike, rngs: nnx.Rngs) -> None:
        self.input_layernorm = _norm(config, dtype, rngs)
        heads, key_heads = config.num_attention_heads, config.num_key_value_heads
        self.self_attn = Attention(config.hidden_size, heads, key_heads, config.head_dim, dtype=dtype, rngs=rngs)
        self.post_attention_layernorm = _norm(config, dtype, rngs)
        self.mlp = SwiGLU(config, dtype=dtype, rngs=rngs)

    def __call__(
        self, x: jax.Array, rotation: Rotation, attend: Attend, prefix: KeysValues | None
    ) -> tuple[jax.Array, KeysValues]:
        """The shapes of `Attention`."""
        attended, own = self.self_attn(self.input_layernorm(x), rotation, attend, prefix)
        x = x + attended
        return x + self.mlp(self.post_attention_layernorm(x)), own


class Llama(nnx.Module):
    """A causal language model.

    Weights are float32 and `dtype` is what is computed in. Linear weights start at variance 1/fan-in and embeddings at
    a standard deviation of 0.02, so that one learning rate serves several widths.
    """

    def __init__(self, config: LlamaConfig, *, dtype: DTypeLike = jnp.float32, rngs: nnx.Rngs) -> None:
        self.config = config
        self.embed_tokens = nnx.Embed(
            config.vocab_size, config.hidden_size, dtype=dtype, embedding_init=nnx.initializers.normal(0.02), rngs=rngs
        )
        self.layers = _stacked_blocks(config, dtype, rngs)
        self.norm = _norm(config, dtype, rngs)
        if not config.tie_word_embeddings:
            self.lm_head = linear(config.hidden_size, config.vocab_size, dtype=dtype, rngs=rngs)

    def hidden(
        self,
        tokens: jax.Array,
        *,
        positions: jax.Array | None = None,
        segments: jax.Array | None = None,
        prefix: KeysValues | None = None,
        computing: Computing = PLAIN,
    ) -> jax.Array:
        """tokens [B, T] int32 -> [B, T, D] after the last norm. Attention is causal.

        positions [B, T] default to 0, 1, 2, ... after the prefix. segments [B, T] int: a token attends only to its own
        segment (and to the prefix), so that several documents share a row. prefix: from `remember`, seen by every row.
        """
        return self._run(tokens, positions, segments, prefix, computing)[0]

    def logits(self, hidden: jax.Array) -> jax.Array:
        """[..., D] -> [..., V]."""
        return self.embed_tokens.attend(hidden) if self.config.tie_word_embeddings else self.lm_head(hidden)

    def remember(self, tokens: jax.Array) -> KeysValues:
        """tokens [P] int32 -> the keys and values of a prefix that many rows share."""
        own = self._run(tokens[None], None, None, None, PLAIN)[1]
        return KeysValues(own.keys[:, 0], own.values[:, 0])

    def _run(
        self,
        tokens: jax.Array,
        positions: jax.Array | None,
        segments: jax.Array | None,
        prefix: KeysValues | None,
        computing: Computing,
    ) -> tuple[jax.Array, KeysValues]:
        before = 0 if prefix is None else prefix.keys.shape[1]
        if positions is None:
            positions = jnp.arange(before, before + tokens.shape[1])[None]
        rotation = rotary(positions, self.config.head_dim, self.config.rope_theta, self.config.rope_scaling)
        attend = _attending(tokens, before, segments, computing)
        block, weights = nnx.split(self.layers)

        def step(x: jax.Array, layer: tuple[Any, KeysValues | None]) -> tuple[jax.Array, KeysValues]:
            y, own = nnx.merge(block, layer[0])(x, rotation, attend, layer[1])
            return computing.keep(y, "batch", None, None), own

        x = computing.keep(self.embed_tokens(tokens), "batch", None, None)
        x, own = jax.lax.scan(computing.checkpointed(step), x, (weights, prefix))
        return self.norm(x), own


def axes_of(place: tuple[Any, ...], dimensions: int) -> tuple[str | None, ...]:
    """The named axes of the weight at `place`, a path of `jax.tree`, or of what an optimizer keeps for it."""
    names = [str(key.key) for key in place if hasattr(key, "key")]
    axes = next((WEIGHT_AXES[name] for name in names if name in WEIGHT_AXES), ())
    return (None,) * (dimensions - len(axes)) + axes if dimensions >= len(axes) else (None,) * dimensions


def _attending(tokens: jax.Array, before: int, segments: jax.Array | None, computing: Computing) -> Attend:
    if computing.kernel == "splash" and not before:
        return splash(jnp.ones_like(tokens) if segments is None else segments, computing.rules)
    return masked(causal_mask(tokens.shape[1], before, segments), computing.kernel)


def _norm(config: LlamaConfig, dtype: DTypeLike, rngs: nnx.Rngs) -> nnx.RMSNorm:
    return nnx.RMSNorm(config.hidden_size, epsilon=config.rms_norm_eps, dtype=dtype, rngs=rngs)


def _stacked_blocks(config: LlamaConfig, dtype: DTypeLike, rngs: nnx.Rngs) -> Block:
    """A `Block` whose every weight has a leading axis of L layers."""

    @nnx.split_rngs(splits=config.num_hidden_layers)
    @nnx.vmap(in_axes=0, out_axes=0)
    def stacked(rngs: nnx.Rngs) -> Block:
        return Block(config, dtype=dtype, rngs=rngs)

    return stacked(rngs)


def token_losses(
    logits: Callable[[jax.Array], jax.Array], hidden: jax.Array, targets: jax.Array, *, parts: int
) -> jax.Array:
    """hidden [B, T, D] and targets [B, T] -> nats [B, T], float32. `logits` maps [B, t, D] to [B, t, V].

    Logits are computed for one of `parts` parts of every row at a time, and again in the backward pass. `parts` comes
    from `parts_of`; it divides T.
    """

    def losses(part: tuple[jax.Array, jax.Array]) -> jax.Array:
        scores = logits(part[0]).astype(jnp.float32)
        nats: jax.Array = optax.softmax_cross_entropy_with_integer_labels(scores, part[1])
        return nats

    if parts == 1:
        return losses((hidden, targets))
    cut = [jnp.moveaxis(x.reshape(x.shape[0], parts, -1, *x.shape[2:]), 1, 0) for x in (hidden, targets)]
    nats: jax.Array = jax.lax.map(jax.checkpoint(losses), (cut[0], cut[1]))  # [parts, B, t]
    return jnp.moveaxis(nats, 0, 1).reshape(targets.shape)


def parts_of(batch: int, length: int, vocabulary: int, devices: int = 1) -> int:
    """The fewest equal parts of a row whose logits are `HELD` a device or fewer: a divisor of `length`."""
    wanted = -(-batch * length * vocabulary // (HELD * devices))
    return next(parts for parts in range(min(max(1, wanted), length), length + 1) if length % parts == 0)
