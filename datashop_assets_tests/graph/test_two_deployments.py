"""Two deployments of Dagster on one root, started at once on one prompt: each stage is made once."""

import re
from pathlib import Path

import pytest

from datashop_assets.graph import plan
from datashop_assets.prompts.store import PromptStore
from datashop_assets.storage.root import Root
from datashop_assets_tests.graph.conftest import SLUG, STEPS, Made, begun, digests

TOOK = re.compile(r"^ +(\w+) +(reused|[\d.]+ s) ", re.MULTILINE)


@pytest.mark.faults
def test_one_makes_a_stage_and_the_other_waits_and_reuses_it(made: Made, tmp_path: Path) -> None:
    root = Root(str(tmp_path / "root"))
    both = [begun(made.prompts, root, tmp_path / f"home-{number}") for number in range(2)]
    said = [run.communicate()[0] for run in both]
    assert [run.returncode for run in both] == [0, 0], said
    one, other = (dict(TOOK.findall(text)) for text in said)
    assert set(one) == set(other) == set(STEPS), said
    for name in one:
        assert [one[name], other[name]].count("reused") == 1, name
    assert digests(plan(PromptStore(made.prompts, root).load(SLUG), root)) == digests(made.plan())
