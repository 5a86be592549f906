"""What is exported has the logits in transformers that it has here, and what transformers exports has them here."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx

from datashop_assets.data_packages import installed_data
from datashop_assets.models.attention import RopeScaling
from datashop_assets.models.llama.model import Llama, LlamaConfig
from datashop_assets.models.llama.weights import load_folder, save_folder
from datashop_assets.storage.root import project
from datashop_assets.training_documents.checkpoint import Start

PEERS = project() / ".venv-peers/bin/python"
SMALL = LlamaConfig(64, 32, 48, 2, 4, 2, 8, max_position_embeddings=64)  # grouped queries, tied
LLAMA_3 = replace(SMALL, rope_theta=500_000.0, rope_scaling=RopeScaling(8.0, 1.0, 4.0, 16), tie_word_embeddings=False)
TOKENS = np.random.default_rng(0).integers(0, 64, (2, 48))


def logits(folder: Path, tokens: np.ndarray) -> np.ndarray:
    graph, weights = nnx.split(load_folder(folder))

    @jax.jit
    def run(tokens: jax.Array) -> jax.Array:
        model = nnx.merge(graph, weights)
        return model.logits(model.hidden(tokens))

    return np.asarray(run(tokens.astype(np.int32)))


def read_by_transformers(folders: list[Path], tokens: np.ndarray, made: Path | None = None) -> None:
    """Puts `logits.json` into every folder, and into `made` a model of LLAMA_3 as transformers makes it."""
    given = {"read": [str(each) for each in folders], "tokens": tokens.tolist(), "made": made and str(made)}
    given["config"] = {key: value for key, value in LLAMA_3.to_hugging_face().items() if key != "architectures"}
    script = Path(__file__).with_name("transformers_peer.py")
    subprocess.run([str(PEERS), str(script), json.dumps(given)], check=True, capture_output=True, text=True)


@pytest.mark.peers
def test_logits_are_those_of_transformers_both_ways(tmp_path: Path) -> None:
    exported = []
    for name, config in (("small", SMALL), ("llama-3", LLAMA_3)):
        save_folder(Llama(config, rngs=nnx.Rngs(0)), tmp_path / name)
        exported.append(tmp_path / name)
    made = tmp_path / "made"
    read_by_transformers(exported, TOKENS, made)
    for folder in [*exported, made]:
        np.testing.assert_allclose(logits(folder, TOKENS), json.loads((folder / "logits.json").read_text()), atol=2e-5)


@pytest.mark.peers
def test_smollm2_is_exported_with_the_logits_that_it_has_here(tmp_path: Path) -> None:
    """All 135 million weights out of the GGUF file, as an anneal begins with them."""
    folder, tokens = tmp_path / "smollm2", TOKENS[:1, :12] * 700
    save_folder(Start.named("smollm2-135m-instruct", installed_data()).model(), folder)
    read_by_transformers([folder], tokens)
    np.testing.assert_allclose(logits(folder, tokens), json.loads((folder / "logits.json").read_text()), atol=5e-4)
