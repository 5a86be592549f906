"""transformers' torch model on prompts that it is given; run in `.venv-peers` by `annotate.py`.

It gets what helps it: float32, documents in order of length so that little is padded, logits of the last position
only, and the batch size that was fastest on the warm-up documents.
"""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

SIZES = (1, 2, 4, 8, 16)


class Peer:
    def __init__(self, folder: str, begins: str, options: Sequence[str]) -> None:
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder, padding_side="left")
        self.model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.begins = begins
        self.options = [self.tokenizer(f" {option}", add_special_tokens=False).input_ids[0] for option in options]

    @torch.inference_mode()
    def answer(self, prompts: Sequence[str], batch: int) -> tuple[float, list[list[float]]]:
        """Seconds, and the probability of each option for each prompt."""
        started = time.perf_counter()
        texts = [self._conversation(prompt) for prompt in prompts]
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        found: list[list[float]] = [[] for _ in texts]
        for first in range(0, len(order), batch):
            places = order[first : first + batch]
            fed = self.tokenizer(
                [texts[place] for place in places], padding=True, return_tensors="pt", add_special_tokens=False
            )
            logits = self.model(**fed, logits_to_keep=1).logits[:, -1, self.options]
            for place, row in zip(places, torch.softmax(logits.double(), dim=-1).tolist(), strict=True):
                found[place] = row
        return time.perf_counter() - started, found

    def _conversation(self, prompt: str) -> str:
        turns = [{"role": "user", "content": prompt}]
        return str(self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)) + self.begins


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    texts = json.loads(Path(given["prompts"]).read_text())
    peer = Peer(given["folder"], given["begins"], given["options"])
    peer.answer(texts["warm_up"], 4)
    batch = min(SIZES, key=lambda size: peer.answer(texts["warm_up"], size)[0])
    seconds, probabilities = peer.answer(texts["prompts"], batch)
    print(json.dumps({"seconds": seconds, "batch": batch, "probabilities": probabilities}))
