"""SmolLM2-135M as a Ray Serve application that speaks as vLLM does, as far as a likelihood needs.

It stands where a cluster runs Ray Serve LLM, whose vLLM has an environment of its own. A question is computed alone, in
one padded length, so that its answer does not depend on what else is asked.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from fastapi import FastAPI
from flax import nnx
from jinja2.sandbox import ImmutableSandboxedEnvironment
from ray import serve

from datashop_assets.models.llama.gguf_file import GGUF
from resources.annotator.names import SMALL, embedded_weights

LENGTH = 256  # tokens of a question, longest
http = FastAPI()


@serve.deployment(num_replicas=2, ray_actor_options={"num_cpus": 0}, health_check_period_s=1)
@serve.ingress(http)
class Served:
    """A replica; it holds weights of its own."""

    def __init__(self) -> None:
        gguf = GGUF(embedded_weights())
        graph, self._weights = nnx.split(gguf.model())
        self._tokenizer = gguf.tokenizer()
        self._render = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(
            gguf.chat_template
        )

        def logprobs(weights: Any, tokens: jax.Array, last: jax.Array) -> jax.Array:
            model = nnx.merge(graph, weights)
            return jax.nn.log_softmax(model.logits(model.hidden(tokens[None])[0, last]))

        self._logprobs = jax.jit(logprobs)

    @http.get("/v1/models")
    def models(self) -> dict[str, Any]:
        return {"data": [{"id": SMALL.name, "max_model_len": LENGTH}]}

    @http.post("/tokenize")
    def tokenize(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"tokens": self._tokens(asked["prompt"])}

    @http.post("/v1/chat/completions")
    def complete(self, asked: dict[str, Any]) -> dict[str, Any]:
        *before, begun = asked["messages"]
        tokens = self._tokens(self._render.render(messages=before, add_generation_prompt=True) + begun["content"])
        padded = jnp.asarray(np.pad(tokens, (0, LENGTH - len(tokens))), dtype=jnp.int32)
        logprobs = np.asarray(self._logprobs(self._weights, padded, len(tokens) - 1))
        found = [
            {"token": f"token_id:{token}", "logprob": float(logprobs[token])} for token in asked["logprob_token_ids"]
        ]
        choice = {
            "message": {"content": ""},
            "finish_reason": "length",
            "logprobs": {"content": [{**found[0], "top_logprobs": found}]},
        }
        return {"choices": [choice], "usage": {"prompt_tokens": len(tokens), "completion_tokens": 1}}

    def _tokens(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)


application = Served.bind()
