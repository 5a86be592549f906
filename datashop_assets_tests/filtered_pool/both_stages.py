"""Scoring and filtering as a run makes them, with lease, receipts and manifest, from inputs that are made once.

    python -m datashop_assets_tests.filtered_pool.both_stages ROOT COMPUTE

reads lines from its input. For each it forks a process that makes both stages below the folder that the line names,
prints that process's number, and, when it has ended, its exit code. What takes seconds to import is imported once.
"""

import os
import sys
from pathlib import Path

from datashop_assets.core.build import make_step
from datashop_assets.core.plan import Plan, PlannedStep
from datashop_assets.core.step import Resources
from datashop_assets.encoder.steps import encoder
from datashop_assets.graph import GRAPH
from datashop_assets.prompts.prompt import parse_prompt
from datashop_assets.storage.folders import Folder
from datashop_assets.storage.manifest import Manifest
from datashop_assets.storage.root import Root
from datashop_assets_tests.filtered_pool.pools import (
    CONFIG,
    DATA,
    PROMPT,
    gold_pool,
    pool_tokenizer,
    training_rows,
    training_set_of_rows,
)
from datashop_assets_tests.small import small_pool
from datashop_assets_tests.stages import run_step
from resources.compute import LocalCompute, RayCompute

MADE = ("pretraining_pool", "training_set", "encoder", "pool_tokens")
KEEP = {"fraction": 0.2, "of": "tokens", "count": "exact"}
PROCESSES = "processes"


def prepare(root: Path, shards: int) -> None:
    """A pool of 1,000 real documents, an encoder and a tokenizer trained on them."""
    (root / "files").mkdir(parents=True)
    pool = gold_pool(root, {**DATA, "uri": small_pool(root / "files", root / "cache", shards)})
    labels = training_set_of_rows(root, training_rows(root, 200))
    run_step(encoder, root, CONFIG, [labels])
    pool_tokenizer(root, pool)


def make_both(root: Path, wanted: Root, tools: Resources) -> dict[str, Manifest]:
    """Makes the two stages below `wanted` and returns their manifests."""
    steps = {name: PlannedStep(GRAPH.step(name), (), "0" * 32, {}, Folder(str(root / name))) for name in MADE}
    prompt = parse_prompt({**PROMPT, "keep": KEEP}, "mathematics", "mathematics.yaml")
    for name in ("pool_scores", "filtered_pool"):
        step = GRAPH.step(name)
        config, folder = step.configure(prompt), wanted.stage(name, "1" * 32)
        steps[name] = PlannedStep(step, step.inputs_of(prompt), "1" * 32, config, folder)
    plan = Plan(steps, prompt, wanted, None)
    return {name: make_step(name, plan, tools).output.manifest for name in ("pool_scores", "filtered_pool")}


def tools_of(compute: str) -> Resources:
    """Two processes for all shards but the first, or the Ray cluster at this address."""
    local = LocalCompute(processes=2, worth_it=0.0)
    return Resources(compute=local if compute == PROCESSES else RayCompute(address=compute))


def serve(root: Path, compute: str) -> None:
    for line in sys.stdin:
        process = os.fork()
        if not process:
            make_both(root, Root(str(root / line.strip())), tools_of(compute))
            sys.exit()
        print(process, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)


if __name__ == "__main__":
    serve(Path(sys.argv[1]), sys.argv[2])
