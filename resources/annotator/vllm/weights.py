"""The embedded model as a Hugging Face folder, so that a vLLM server can serve the very weights that are embedded."""

import json
import os
import subprocess
import sys
from pathlib import Path

from datashop_assets.storage.writing import creating_folder

SPECIAL_TOKENS = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|im_end|>"}


def exported_folder(source: Path, cache: Path) -> Path:
    """`<cache>/served/<name>` of a GGUF file: float32 weights, tokenizer and chat template, made once (0.5 GB, 10 s).

    It is made in a process of its own: JAX would keep an accelerator that the server needs. It appears whole or not at
    all; of two processes that make it at once the first one's stays.
    """
    folder = cache / "served" / source.stem
    if not folder.exists():
        with creating_folder(folder) as ready:
            command = [sys.executable, "-m", __name__, str(source), str(ready)]
            subprocess.run(command, check=True, env={**os.environ, "JAX_PLATFORMS": "cpu"})  # noqa: S603, this module
    return folder


def export(source: Path, folder: Path) -> None:
    """Writes `folder` from a GGUF file."""
    from datashop_assets.models.llama.gguf_file import GGUF
    from datashop_assets.models.llama.weights import save_folder

    gguf = GGUF(source)
    tokenizer = gguf.tokenizer()
    save_folder(gguf.model(), folder, tokenizer, SPECIAL_TOKENS)
    (folder / "chat_template.jinja").write_text(gguf.chat_template)
    end = {"eos_token_id": tokenizer.token_to_id(SPECIAL_TOKENS["eos_token"])}
    (folder / "generation_config.json").write_text(json.dumps(end))


if __name__ == "__main__":
    export(Path(sys.argv[1]), Path(sys.argv[2]))
