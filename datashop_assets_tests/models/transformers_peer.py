"""Runs in `.venv-peers`: logits of exported folders by transformers, and a folder that transformers made.

python transformers_peer.py '{"read": [FOLDER...], "made": FOLDER or null, "tokens": [[...]], "config": {...}}'
"""

import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM


def main() -> None:
    given = json.loads(sys.argv[1])
    tokens = torch.tensor(given["tokens"])
    torch.manual_seed(0)
    folders = given["read"]
    if given["made"]:
        LlamaForCausalLM(LlamaConfig(**given["config"])).save_pretrained(given["made"])
        folders.append(given["made"])
    with torch.no_grad():
        for folder in folders:
            logits = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)(tokens).logits
            (Path(folder) / "logits.json").write_text(json.dumps(logits.tolist()))


if __name__ == "__main__":
    main()
