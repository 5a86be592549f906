"""Content digests of the demo's outputs, so that a change of the code's shape is seen to change no row.

`python -m datashop_assets_tests.acceptance.golden_contents` prints them for the finished demo under `DATASHOP_ROOT`, to
be put into `golden_contents.json` where a change is meant; `docs/decisions.md` lists such changes.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from datashop_assets.graph import plan
from datashop_assets.machine import cores
from datashop_assets.prompts.store import PromptStore, default_prompts
from datashop_assets.settings import read_settings
from datashop_assets.storage.root import default_root

GOLDEN = Path(__file__).with_name("golden_contents.json")
# What holds no figure of a model: the same on every machine. All else repeats on one kind of processor only.
EVERYWHERE = ("pretraining_pool", "annotation_sample", "rubric")


def processor() -> str:
    """What decides the last bits of a float: the processor's features and how many cores there are."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    flags = sorted({line for line in lines if line.startswith(("flags", "model name"))})
    return hashlib.sha256("\n".join([*flags, str(cores())]).encode()).hexdigest()[:16]


def contents() -> dict[str, Any]:
    """`{"processor": …, "contents": {step: content digest}}` of the finished demo."""
    settings = read_settings()
    root = default_root(settings)
    planned = plan(PromptStore(default_prompts(settings), root).load("mathematics"), root)
    found = {name: one.output.manifest.content_digest for name, one in planned.items()}
    return {"processor": processor(), "contents": found}


if __name__ == "__main__":
    print(json.dumps(contents(), indent=1))
