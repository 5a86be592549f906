"""The embedded annotator writes: real text by the real model, the likeliest token each time."""

from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import orjson
import pytest
from flax import nnx

from datashop_assets.core.step import Resources
from datashop_assets.models.attention import RopeScaling
from datashop_assets.models.llama.generation import Greedy
from datashop_assets.models.llama.model import Llama, LlamaConfig
from datashop_assets.prompts.editing import RUBRIC
from datashop_assets.prompts.prompt import parse_prompt
from datashop_assets.prompts.template import EXAMPLE
from datashop_assets.rubric.build import build
from datashop_assets_tests.stages import run_build
from resources.annotator.embedded import EmbeddedAnnotator

LIKELIHOOD = {"question": "{example}?", "answer_begins": "It is", "targets": ["mathematics"]}
TARGETS = ["The derivative of $x^{2}$ is $2x$.", "A proof by induction begins with a base case."]
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


@pytest.mark.faults  # 35 s on two busy cores; the quick suite writes with a scribbler
def test_a_rubric_is_written_from_target_documents_by_the_embedded_model(tmp_path: Path) -> None:
    fields = {
        "name": "x",
        "targets": TARGETS,
        "writing": {"sampling": {"temperature": 0.0, "max_tokens": 12}},
        "annotator": {"likelihood": LIKELIHOOD},
    }
    config = RUBRIC.config(parse_prompt(fields, "x", "x.yaml"))
    made = run_build(build, "rubric", tmp_path, config, {}, Resources(annotator=EmbeddedAnnotator()))
    rubric = orjson.loads(made.file("rubric.json").read_bytes())

    assert made.metrics["calls"] == 3
    assert made.metrics["tokens_out"] == 3 * 12
    assert rubric["text"].count(EXAMPLE) == 1
    assert rubric["sets"]["targets"] in rubric["text"]
    assert len(rubric["sets"]["targets"]) > 20
