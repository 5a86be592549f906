"""How vLLM's server is called."""

import os
from collections.abc import Mapping
from pathlib import Path

from resources.annotator.names import chips_of
from resources.annotator.settings import ServerSettings

DEFAULTS = {
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    # for CPUs only: by default vLLM leaves one core unused and takes half of the memory
    "VLLM_CPU_NUM_OF_RESERVED_CPU": "0",
    "VLLM_CPU_KVCACHE_SPACE": "4",
}


def command_of(settings: ServerSettings, name: str, weights: str, revision: str, port: int) -> list[str]:
    """The server of `weights` (a folder or a name on the hub) under `name`, for this machine alone.

    Raises `FileNotFoundError` where the environment that it runs in is not made.
    """
    if not settings.python.exists():
        raise FileNotFoundError(
            f"{settings.python} is not there; run `make vllm`, or name another python in DATASHOP_VLLM_PYTHON"
        )
    engine = {
        "model": weights,
        "served-model-name": name,
        "host": "127.0.0.1",
        "port": port,
        "tensor-parallel-size": settings.tensor_parallel_size or chips_of(name),
        "max-model-len": settings.max_model_len,
        "dtype": settings.dtype,
        **({"revision": revision, "tokenizer-revision": revision} if revision else {}),
    }
    arguments = [f"--{option}={value}" for option, value in engine.items()]
    module = ["-m", "vllm.entrypoints.openai.api_server"]
    return [
        str(settings.python),
        *module,
        *arguments,
        "--enable-prefix-caching",
        *_of_build(settings.python),
        *settings.arguments,
    ]


def _of_build(python: Path) -> list[str]:
    """What vLLM's build for CPUs needs: 0.32 dies of a request with a seed whose prompt it computes in two parts
    ("CPU Generator does not use offset")."""
    builds = python.parents[1].glob("lib/python*/site-packages/vllm_cpu-*.dist-info")
    return ["--no-enable-chunked-prefill"] if any(builds) else []


def environment_of(weights: str, key: str) -> Mapping[str, str]:
    """This process's environment for the server, with the key that only this process knows."""
    local = {"HF_HUB_OFFLINE": "1"} if Path(weights).is_dir() else {}
    return {**DEFAULTS, **os.environ, **local, "VLLM_API_KEY": key}
