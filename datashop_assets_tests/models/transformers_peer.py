"""Runs in `.venv-peers`: logits of exported folders by transformers, and a folder that transformers made.

python transformers_peer.py '{"read": [FOLDER...], "made": FOLDER, "tokens": [[...]], "config": {...}}'
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
    LlamaForCausalLM(LlamaConfig(**given["config"])).save_pretrained(given["made"])
    with torch.no_grad():
        for folder in [*given["read"], given["made"]]:
            logits = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)(tokens).logits
            (Path(folder) / "logits.json").write_text(json.dumps(logits.tolist()))


if __name__ == "__main__":
    main()
