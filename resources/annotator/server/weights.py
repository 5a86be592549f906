"""The embedded model as a Hugging Face folder, so that a vLLM server can serve the very weights that are embedded."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from datashop_assets.sources.packages import data_file

ENDS = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|im_end|>"}


def served_folder(gguf_file: str, cache: Path) -> Path:
    """`<cache>/served/<name>` with weights as float32, tokenizer and chat template, made once (0.5 GB, some 10 s).

    It is made in a process of its own: JAX would keep an accelerator that the server needs. Raises
    `FileNotFoundError` where the data packages are not installed.
    """
    source = data_file(gguf_file)
    folder = cache / "served" / source.stem
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=folder.parent))
        command = [sys.executable, "-m", __name__, str(source), str(made)]
        subprocess.run(command, check=True, env={**os.environ, "JAX_PLATFORMS": "cpu"})  # noqa: S603, this module
        _put_in_place(made, folder)
    return folder


def export(source: Path, folder: Path) -> None:
    """Writes `folder` from a GGUF file."""
    from datashop_assets.models.llama.gguf_file import GGUF
    from datashop_assets.models.llama.weights import save_folder

    gguf = GGUF(source)
    tokenizer = gguf.tokenizer()
    save_folder(gguf.model(), folder, tokenizer, ENDS)
    (folder / "chat_template.jinja").write_text(gguf.chat_template)
    end = {"eos_token_id": tokenizer.token_to_id(ENDS["eos_token"])}
    (folder / "generation_config.json").write_text(json.dumps(end))


def _put_in_place(made: Path, folder: Path) -> None:
    """Whole or not at all; where another process was faster, its folder stays."""
    try:
        made.rename(folder)
    except OSError:
        if not folder.exists():
            raise
        shutil.rmtree(made)


if __name__ == "__main__":
    export(Path(sys.argv[1]), Path(sys.argv[2]))
