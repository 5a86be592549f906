"""Prompts of every kind of setting, whose plan digests must not change unless a step's code version does.

`python -m datashop_assets_tests.graph.golden_plans` prints the digests as they are now, to be put into
`golden_plans.json` where a change of a code version is meant; `docs/decisions.md` lists such changes.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

from datashop_assets.graph import plan
from datashop_assets.prompts.prompt import Prompt, load_prompt, parse_prompt
from datashop_assets.storage.root import Root

GOLDEN = Path(__file__).with_name("golden_plans.json")
SHIPPED = Path(__file__).parents[2] / "prompts"
LIKELIHOOD = {"question": "{example}\n\nWhich subject?", "answer_begins": "It is", "targets": ["physics"]}
ASKED = {"likelihood": LIKELIHOOD}
OPTIONS = {"options": {"bad": 0, "fair": 2.5, "good": 5}, "answer_begins": "It is"}
TUNED = {"head": "ordinal", "tune": "all", "pooling": "first", "longest": 256}
GENERATE = {"scoring": "generate", "model": "some/model"}

KINDS: dict[str, dict[str, Any]] = {
    "generate": {"annotator": {**GENERATE, "revision": "abc", "sampling": {"max_tokens": 64}}},
    "score-token": {"annotator": {"scoring": "score_token", "model": "some/model"}},
    "score-token-options": {"annotator": {"scoring": "score_token", "model": "some/model", "score_token": OPTIONS}},
    "medu": {"annotator": GENERATE, "rubric": None, "targets": {"one": ["a text"], "two": ["another", "third"]}},
    "processor": {"annotator": GENERATE, "processor": {"type": "medu"}},
    "report": {"annotator": {**ASKED, "report": {"again": 20, "second": {"model": "other/model", "documents": 30}}}},
    "cascade-prompt": {"annotator": {**GENERATE, "cascade": {"prompt": "Tides? {example}"}}},
    "cascade-likelihood": {"annotator": {**GENERATE, "cascade": {"likelihood": LIKELIHOOD}}},
    "cascade-encoder": {"annotator": {**GENERATE, "cascade": {"encoder": "0" * 32}}},
    "windows": {"annotator": {**ASKED, "read_characters": 2000, "reading": "windows"}},
    "one-round": {"annotator": {**ASKED, "documents": 50, "sample": 100, "second_round": {"documents": 0}}},
    "gates": {"annotator": {**ASKED, "gates": {"coverage": 0.5}, "budget": {"tokens": 1000}}},
    "labels": {"annotator": ASKED, "labels": {"positive_from": 3.0, "balance": False}},
    "static": {"annotator": ASKED, "encoder": {"kind": "static"}},
    "embedded-pool": {"annotator": ASKED, "encoder": {"static": {"embed_pool": True}, "read_characters": 2000}},
    "fasttext": {"annotator": ASKED, "encoder": {"kind": "fasttext", "reading": "windows"}},
    "cut": {"annotator": ASKED, "labels": {"train_on": "cut"}},
    "transformer": {"annotator": ASKED, "encoder": {"kind": "transformer", "calibration": "isotonic"}},
    "transformer-tuned": {"annotator": ASKED, "encoder": {"kind": "transformer", "transformer": TUNED}},
    "encoder-cascade": {"annotator": ASKED, "encoder": {"kind": "transformer", "cascade": {"passes": 0.5}}},
    "keep-of-tokens": {"annotator": ASKED, "keep": {"fraction": 0.2, "of": "tokens", "format": "parquet"}},
    "keep-budget": {"annotator": ASKED, "keep": {"tokens": 100_000}},
    "keep-budget-exact": {"annotator": ASKED, "keep": {"tokens": 100_000, "count": "exact"}},
    "keep-threshold": {"annotator": ASKED, "keep": {"threshold": 0.5}},
    "keep-recall": {"annotator": ASKED, "keep": {"recall": 0.9, "labels": 900}},
    "keep-precision": {"annotator": ASKED, "keep": {"precision": 0.8, "delta": 0.1, "design": "fixed"}},
    "no-blind-test": {"annotator": ASKED, "blind_test": {"pairs": 0}},
    "no-matched": {"annotator": ASKED, "training": {"matched_control": False, "steps": "optimal", "seeds": 2}},
    "anneal": {"annotator": ASKED, "training": {"anneal_from": "smollm2-135m-instruct", "steps": 10}},
    "decontamination": {"annotator": ASKED, "evaluation": {"benchmarks": [{"uri": "embedded"}]}},
    "gold": {"annotator": ASKED, "evaluation": {"gold": ["Physical sciences"], "primary": {"against": "matched"}}},
    "targets-of-evaluation": {"annotator": ASKED, "evaluation": {"targets": {"uri": "embedded"}}},
    "sensitivity": {"annotator": ASKED, "evaluation": {"sensitivity": True}},
    "heldout": {"annotator": ASKED, "heldout_fraction": 0.1},
    "static-without-words": {"annotator": ASKED, "encoder": {"static": {"words": False}}},
    "unreadable-skipped": {"annotator": ASKED, "pretraining_pool": {"uri": "embedded", "on_unreadable": "skip"}},
    "writing": {"annotator": GENERATE, "rubric": None, "targets": ["a text"], "writing": {"characters": 3000}},
    "training": {"annotator": ASKED, "training": {"precision": "bfloat16", "depth": 4, "decontamination_words": 8}},
}


def prompt_of(kind: str) -> Prompt:
    fields: dict[str, Any] = {"name": "Tides", "rubric": "Is this about tides? {example}"} | KINDS[kind]
    return parse_prompt({name: value for name, value in fields.items() if value is not None}, kind, kind)


def digests() -> dict[str, dict[str, str]]:
    """Prompt -> stage -> plan digest."""
    prompts = {path.stem: load_prompt(path) for path in sorted(SHIPPED.glob("*.yaml"))}
    prompts |= {kind: prompt_of(kind) for kind in KINDS}
    with tempfile.TemporaryDirectory() as folder:
        plans = {name: plan(prompt, Root(folder)) for name, prompt in prompts.items()}
    return {name: {stage: one.digest for stage, one in planned.items()} for name, planned in plans.items()}


if __name__ == "__main__":
    print(json.dumps(digests(), indent=1))
