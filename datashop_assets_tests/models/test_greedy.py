"""Writing with a Llama: the likeliest token each time."""

from dataclasses import replace

import jax.numpy as jnp
import pytest
from flax import nnx

from datashop_assets.models.attention import RopeScaling
from datashop_assets.models.llama.generation import Greedy
from datashop_assets.models.llama.model import Llama, LlamaConfig

TINY = LlamaConfig(
    vocab_size=50, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, head_dim=8,
)  # fmt: skip


@pytest.mark.parametrize("stretch", [None, RopeScaling(factor=8.0, low=1.0, high=4.0, original=16)])
@pytest.mark.parametrize("length", [70])
def test_each_token_is_the_likeliest_after_all_before_it(length: int, stretch: RopeScaling | None) -> None:
    model = Llama(replace(TINY, rope_scaling=stretch), rngs=nnx.Rngs(3))
    prompt = [(7 * place) % 50 for place in range(length)]
    written, stopped = Greedy(model).write(prompt, 4, stops=())

    logits = model.logits(model.hidden(jnp.asarray([*prompt, *written])[None])[0, length - 1 : -1])
    assert jnp.argmax(logits, axis=-1).tolist() == written
    assert not stopped
    assert Greedy(model).write(prompt, 4, stops={written[2]}) == (written[: written.index(written[2])], True)
