"""The embedded model as a Hugging Face folder, so that a vLLM server can serve the very weights that are embedded."""

import json
import os
import shutil
import tempfile
from pathlib import Path

from datashop_assets.sources.packages import data_file

ENDS = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|im_end|>"}


def served_folder(gguf_file: str, cache: Path) -> Path:
    """`<cache>/served/<name>` with weights as float32, tokenizer and chat template, made once (0.6 GB, some 5 s).

    Raises `FileNotFoundError` where the data packages are not installed.
    """
    source = data_file(gguf_file)
    folder = cache / "served" / source.stem
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=folder.parent))
        _export(source, made)
        _put_in_place(made, folder)
    return folder


def _export(source: Path, folder: Path) -> None:
    from datashop_assets.models.gguf_weights import GGUF
    from datashop_assets.models.llama_weights import save_folder

    gguf = GGUF(source)
    save_folder(gguf.model(), folder, gguf.tokenizer(), ENDS)
    (folder / "chat_template.jinja").write_text(gguf.chat_template)
    # or vLLM would take the weights' own sampling for the default
    (folder / "generation_config.json").write_text(
        json.dumps({"eos_token_id": gguf.tokenizer().token_to_id("<|im_end|>")})
    )


def _put_in_place(made: Path, folder: Path) -> None:
    """Whole or not at all; where another process was faster, its folder stays."""
    try:
        os.rename(made, folder)  # noqa: PTH104 - Path.rename says less about an existing folder
    except OSError:
        if not folder.exists():
            raise
        shutil.rmtree(made)
