"""The small graph made once, from Python and without interruption: what other runs are compared with."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import zstandard

from datashop_assets.core.plan import PlannedStep
from datashop_assets.core.step import Resources
from datashop_assets.graph import GRAPH, plan
from datashop_assets.prompts.store import PromptStore
from datashop_assets.runner import DatashopRunner, local_resources
from datashop_assets.settings import read_settings
from datashop_assets.storage.root import Root
from datashop_assets_tests.small import experiment, small_pool, write_prompt

SLUG = "tides"
EMPTY = "part-9.jsonl.zst"
SECOND_RATE = ("control_lm_second_rate", "matched_lm_second_rate", "trained_lm_second_rate", "sensitivity")
OPTIONAL = ("pool_embeddings", "keep_certificate", *SECOND_RATE)  # steps that the experiment does not ask for
STEPS = [name for name in GRAPH.names if name not in OPTIONAL]


@dataclass(frozen=True)
class Made:
    """A root in which every stage of the small experiment is current."""

    root: Root
    pool: str
    prompts: Path  # a folder with the same experiment as a prompt file

    def plan(self) -> dict[str, PlannedStep]:
        return plan(PromptStore(self.prompts, self.root).load(SLUG), self.root)


@pytest.fixture(scope="session")
def tools() -> Resources:
    """One annotator for all tests: its weights are loaded and its programs compiled once."""
    return local_resources(read_settings())


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, tools: Resources) -> Made:
    folder = tmp_path_factory.mktemp("graph")
    (folder / "pool").mkdir()
    pool = small_pool(folder / "pool", folder / "cache")
    (folder / "pool" / EMPTY).write_bytes(zstandard.compress(b""))  # for the card to say so
    file = write_prompt(folder / "prompts", SLUG, pool)
    root = Root(str(folder / "root"))
    DatashopRunner(experiment(SLUG, pool), root, tools, file.parent).run_all_steps()
    return Made(root, pool, file.parent)


def digests(planned: dict[str, PlannedStep]) -> dict[str, tuple[str, str]]:
    """Plan and content digest of every stage."""
    return {name: (stage.digest, stage.output.manifest.content_digest) for name, stage in planned.items()}


def with_answers(made: Made, folder: Path) -> Root:
    """A root in `folder` where nothing is made, and nobody is asked again."""
    shutil.copytree(made.root.answers.uri, folder / "root" / "answers")
    return Root(str(folder / "root"))


def begun(prompts: Path, root: Root, home: Path, until: str = "data_card", **more: str) -> subprocess.Popen[str]:
    """`datashop run` of a deployment with a state of its own."""
    places = {"DATASHOP_ROOT": root.uri, "DATASHOP_PROMPTS": str(prompts), "DAGSTER_HOME": str(home)}
    command = [Path(sys.executable).with_name("datashop"), "run", SLUG, "--until", until]
    environment = {**os.environ, **places, **more, "NO_COLOR": "1"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
