"""Makes `bert_golden.json`: what transformers' torch models answer. Not a test; run it in `.venv-peers`:

    PYTHONPATH=. .venv-peers/bin/python datashop_assets_tests/models/make_bert_fixture.py TINY_FOLDERS MINILM_FOLDER

TINY_FOLDERS holds `bert` and `xlm-roberta`, written by `tiny_bert.write_tiny`. Of MiniLM the first eight numbers of the
embeddings that sentence-transformers gives are kept.
"""

import json
import sys
from pathlib import Path

import torch
import transformers
from sentence_transformers import SentenceTransformer

TOKENS = [[2, 5, 9, 33, 40, 3], [2, 3], [2, *range(4, 44), 3]]
TEXTS = ["The derivative of $x^2$ is $2x$.", "数学 is \U0001f642 mathematics", "prime numbers " * 200]


@torch.no_grad()
def main(tiny: Path, minilm: Path) -> None:
    found: dict[str, object] = {"tokens": TOKENS, "texts": TEXTS, "torch": torch.__version__}
    for kind in ("bert", "xlm-roberta"):
        model = transformers.AutoModel.from_pretrained(tiny / kind).eval()
        states = [model(torch.tensor([one])).last_hidden_state[0] for one in TOKENS]
        found[kind] = {"mean": [s.mean(0).tolist() for s in states], "first": [s[0].tolist() for s in states]}
    sentences = SentenceTransformer(str(minilm), device="cpu")
    sentences.max_seq_length = 512
    found["minilm"] = sentences.encode(TEXTS, normalize_embeddings=True)[:, :8].tolist()
    text = json.dumps(found, default=lambda value: value, ensure_ascii=False)
    rounded = json.loads(text, parse_float=lambda number: round(float(number), 6))
    Path(__file__).with_name("bert_golden.json").write_text(json.dumps(rounded, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
