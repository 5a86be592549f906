"""Makes `bert_golden.json`: what transformers' torch models answer. Not a test; run it in `.venv-peers`:

    PYTHONPATH=. .venv-peers/bin/python datashop_assets_tests/models/make_bert_fixture.py TINY_FOLDERS MINILM_FOLDER

TINY_FOLDERS holds a folder for each of `tiny_bert.KINDS`, written by `write_tiny`. Of MiniLM the first eight numbers of
the embeddings that sentence-transformers gives are kept. transformers reads gte-v1.5, whose authors' code it does not
run here, as `GteModel`, which knows no NTK scaling: its frequencies are set by the formula of the authors' code.
"""

import json
import sys
from pathlib import Path

import torch
import transformers
from sentence_transformers import SentenceTransformer

KINDS = ("bert", "xlm-roberta", "modernbert", "modernbert, as transformers 5 writes it", "gte")
KINDS += ("gte, as transformers 5 writes it",)
TOKENS = [[2, 5, 9, 33, 40, 3], [2, 3], [2, *range(4, 44), 3]]
TEXTS = ["The derivative of $x^2$ is $2x$.", "数学 is \U0001f642 mathematics", "prime numbers " * 200]


def opened(folder: Path) -> torch.nn.Module:
    fields = json.loads((folder / "config.json").read_text())
    if fields["model_type"] != "new":
        model, said = transformers.AutoModel.from_pretrained(folder, output_loading_info=True)
    else:
        theta, factor = fields["rope_theta"], fields["rope_scaling"]["factor"]
        known = {name: fields[name] for name in transformers.GteConfig().to_dict() if name in fields}
        config = transformers.GteConfig(**{**known, "model_type": "gte"}, rope_parameters={"rope_theta": theta})
        model, said = transformers.GteModel.from_pretrained(folder, config=config, output_loading_info=True)
        width = fields["hidden_size"] // fields["num_attention_heads"]
        pairs = torch.arange(0, width, 2).float() / width
        model.rotary_emb.inv_freq.copy_(1.0 / (theta * factor) ** pairs / factor ** (2 / width))
    missing = {name for name in said["missing_keys"] if "pooler" not in name}
    if missing or said["unexpected_keys"]:
        raise ValueError(f"{folder}: {said}")
    return model.eval()


@torch.no_grad()
def main(tiny: Path, minilm: Path) -> None:
    found: dict[str, object] = {"tokens": TOKENS, "texts": TEXTS, "torch": torch.__version__}
    for kind in KINDS:
        model = opened(tiny / kind)
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
