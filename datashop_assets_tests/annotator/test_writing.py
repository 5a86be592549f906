"""The embedded annotator writes: real text by the real model, the likeliest token each time."""

from pathlib import Path

import jax.numpy as jnp
import orjson
import pytest

from datashop_assets.models.gguf_weights import GGUF
from datashop_assets.models.greedy import Greedy
from datashop_assets.prompts.prompt import parse_prompt
from datashop_assets.prompts.template import EXAMPLE
from datashop_assets.rubric.build import build
from datashop_assets.rubric.stage import RUBRIC
from datashop_assets.sources.packages import data_file
from datashop_assets.stage import Tools
from datashop_assets_tests.stages import run_build
from resources.annotator.embedded import MODELS, EmbeddedAnnotator

LIKELIHOOD = {"question": "{example}?", "answer_begins": "It is", "targets": ["mathematics"]}
TARGETS = ["The derivative of $x^{2}$ is $2x$.", "A proof by induction begins with a base case."]


@pytest.fixture(scope="module")
def gguf() -> GGUF:
    return GGUF(data_file(MODELS["smollm2-135m-instruct"][0]))


def test_each_token_is_the_likeliest_after_all_before_it(gguf: GGUF) -> None:
    model = gguf.model()
    prompt = gguf.tokenizer().encode("The derivative of x squared is", add_special_tokens=False).ids
    written, stopped = Greedy(model).write(prompt, 6, stops=())

    logits = model.logits(model.hidden(jnp.asarray([*prompt, *written])[None])[0, len(prompt) - 1 : -1])
    assert jnp.argmax(logits, axis=-1).tolist() == written
    assert not stopped
    assert Greedy(model).write(prompt, 6, stops={written[2]}) == (written[: written.index(written[2])], True)


def test_a_rubric_is_written_from_target_documents_by_the_embedded_model(tmp_path: Path) -> None:
    fields = {
        "name": "x",
        "targets": TARGETS,
        "writing": {"sampling": {"temperature": 0.0, "max_tokens": 12}},
        "annotator": {"likelihood": LIKELIHOOD},
    }
    config = RUBRIC.config(parse_prompt(fields, "x", "x.yaml"))
    made = run_build(build, "rubric", tmp_path, config, {}, Tools(annotator=EmbeddedAnnotator()))
    rubric = orjson.loads(made.file("rubric.json").read_bytes())

    assert made.metrics["calls"] == 3
    assert made.metrics["tokens_out"] == 3 * 12
    assert rubric["text"].count(EXAMPLE) == 1
    assert rubric["sets"]["targets"] in rubric["text"]
    assert len(rubric["sets"]["targets"]) > 20
