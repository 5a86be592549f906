"""The annotator as a Ray Serve application: as many replicas of a vLLM engine as there is work for, on TPUs or GPUs.

It is rendered from the settings that the server home reads, and used through the endpoints home.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from resources.annotator.names import chips_of, full_name
from resources.annotator.settings import ServerSettings

PORT = 8000


@dataclass(frozen=True)
class Replicas:
    """What each replica runs on, and how many there may be. `topology` (`2x4`) makes it a TPU slice."""

    accelerator: str  # Ray's name: TPU-V6E, H100, A100-80G
    topology: str = ""
    least: int = 1
    most: int = 8
    requests: int = 64  # under way at each before another is started; vLLM computes 256 together

    def __post_init__(self) -> None:
        if self.accelerator.startswith("TPU-") != bool(self.topology):
            raise ValueError(
                f"accelerator {self.accelerator!r} with topology {self.topology!r}: a TPU needs one (2x4), and nothing "
                "else has one"
            )
        if not 0 <= self.least <= self.most or not self.most:
            raise ValueError(f"{self.least} to {self.most} replicas; give 0 <= least <= most, and most above 0")

    @property
    def chips(self) -> int | None:
        """Of a TPU slice; None for GPUs, of which a replica takes as many as it is parallel."""
        return prod(int(side) for side in self.topology.split("x")) if self.topology else None


def serve_config(model: str, settings: ServerSettings, replicas: Replicas, weights: str = "") -> dict[str, Any]:
    """What `serve deploy` takes, as a file or by `ray.serve.schema.ServeDeploySchema`."""
    config = {"llm_configs": [llm_config(model, settings, replicas, weights)]}
    application = {
        "name": "annotator",
        "route_prefix": "/",
        "import_path": "ray.serve.llm:build_openai_app",
        "args": config,
    }
    # on the head's own address: a cluster's network is private, and endpoints are reached through it
    http = {"host": "0.0.0.0", "port": PORT, "request_timeout_s": 600}  # noqa: S104
    return {"proxy_location": "EveryNode", "http_options": http, "applications": [application]}


def llm_config(model: str, settings: ServerSettings, replicas: Replicas, weights: str = "") -> dict[str, Any]:
    """One `ray.serve.llm.LLMConfig`. Raises `ValueError` where model and accelerator do not fit together.

    `weights` is a bucket's folder that nodes read with their own identity; without it they ask the hub.
    """
    name = full_name(model)
    tensor = settings.tensor_parallel_size or chips_of(name)
    engine = {
        "tensor_parallel_size": tensor,
        "pipeline_parallel_size": _stages(replicas, tensor),
        "max_model_len": settings.max_model_len,
        "dtype": settings.dtype,
        "enable_prefix_caching": True,
        **({"revision": settings.revision, "tokenizer_revision": settings.revision} if settings.revision else {}),
        **engine_arguments(settings.arguments),
    }
    scale = {
        "min_replicas": replicas.least,
        "max_replicas": replicas.most,
        "target_ongoing_requests": replicas.requests,
    }
    tpu = {"accelerator_config": {"kind": "tpu", "topology": replicas.topology}} if replicas.topology else {}
    return {
        "model_loading_config": {"model_id": name, "model_source": {"bucket_uri": weights} if weights else name},
        "accelerator_type": replicas.accelerator,
        **tpu,
        "engine_kwargs": engine,
        "deployment_config": {"autoscaling_config": scale, "max_ongoing_requests": 4 * replicas.requests},
    }


def _stages(replicas: Replicas, tensor: int) -> int:
    """Pipeline stages, so that tensor parallel size times these is every chip of the slice."""
    if replicas.chips is None:
        return 1
    if replicas.chips % tensor:
        raise ValueError(
            f"topology {replicas.topology} has {replicas.chips} chips, which tensor parallel size {tensor} does not "
            "divide; choose another topology or set DATASHOP_VLLM_TENSOR_PARALLEL_SIZE"
        )
    return replicas.chips // tensor


def engine_arguments(arguments: Sequence[str]) -> Mapping[str, Any]:
    """`--max-num-seqs 64 --enforce-eager` -> {"max_num_seqs": 64, "enforce_eager": True}."""
    found: dict[str, Any] = {}
    words = [part for word in arguments for part in word.split("=", 1)]
    for place, word in enumerate(words):
        after = words[place + 1] if place + 1 < len(words) else "--"
        if word.startswith("--"):
            found[word[2:].replace("-", "_")] = True if after.startswith("--") else _value(after)
        elif not place or not words[place - 1].startswith("--"):
            raise ValueError(f"engine arguments {shlex.join(arguments)!r}: {word!r} belongs to no option")
    return found


def _value(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
