"""A run that is killed and started again gives what an uninterrupted run gives."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from datashop_assets.core.build import make_step
from datashop_assets.core.plan import State
from datashop_assets.core.step import Resources
from datashop_assets.graph import plan
from datashop_assets.prompts.store import PromptStore
from datashop_assets.storage.root import Root
from datashop_assets_tests.graph.conftest import SLUG, Made

KILLED = "datashop_assets_tests.graph.killed"
LONG = pytest.mark.faults
ATTEMPTS = 4


def without(made: Made, stage: str, folder: Path) -> Root:
    """A copy of the finished root in which one stage was never made, nor anything asked."""
    shutil.copytree(made.root.uri, folder / "root", ignore=shutil.ignore_patterns("answers"))
    shutil.rmtree(folder / "root" / "stages" / stage)
    return Root(str(folder / "root"))


@pytest.mark.parametrize(
    ("stage", "moment"),
    [
        # annotations: before the first answers are kept, before the first shard, in the second round
        pytest.param("annotations", ["--at-write", "1"], marks=LONG),
        ("annotations", ["--at-write", "2"]),
        pytest.param("annotations", ["--at-write", "5"], marks=LONG),
        # scoring: before the first shard's receipt, and in the second shard
        ("pool_scores", ["--at-write", "2"]),
        ("pool_scores", ["--at-write", "3"]),
        ("pool_scores", ["--at-write", "4"]),
        # keeping: while shards are joined, between two shards' attributes, among the kept documents
        pytest.param("filtered_pool", ["--at-write", "2"], marks=LONG),
        ("filtered_pool", ["--at-write", "4"]),
        pytest.param("filtered_pool", ["--at-write", "8"], marks=LONG),
        # training: at the first checkpoint of a seed, at one of another seed, and while the trained models are exported
        ("trained_lm", ["--when-exists", "scratch/trained_lm/*/seed-*/1?/*"]),
        pytest.param("trained_lm", ["--when-exists", "scratch/trained_lm/*/seed-1-*/1?/*"], marks=LONG),
        pytest.param("trained_lm", ["--at-write", "4"], marks=LONG),
    ],
)
def test_killed_and_started_again_gives_the_same_content(
    made: Made, tools: Resources, tmp_path: Path, stage: str, moment: list[str]
) -> None:
    for attempt in range(ATTEMPTS):  # a checkpoint that replaces another may be gone before it was looked for
        root = without(made, stage, tmp_path / str(attempt))
        command = [sys.executable, "-m", KILLED, root.uri, str(made.prompts), SLUG, stage, *moment]
        ended = subprocess.run(command, check=False, capture_output=True)
        if ended.returncode != 0:
            break
    assert ended.returncode == -signal.SIGKILL, ended.stderr[-2000:]
    planned = plan(PromptStore(made.prompts, root).load(SLUG), root)
    assert planned[stage].state is State.STALE
    again = make_step(stage, planned, tools)
    assert not again.reused
    assert again.output.manifest.content_digest == made.plan()[stage].output.manifest.content_digest
