"""Plan digests stay what they are: a change of the code's shape makes nothing stale."""

import json
import re
from typing import Any

import pytest

from datashop_assets.core.step import Step
from datashop_assets.graph import GRAPH
from datashop_assets.storage.root import project
from datashop_assets_tests.graph.golden_plans import GOLDEN, digests


def test_no_plan_digest_of_shipped_prompts_and_of_every_kind_of_setting_has_changed() -> None:
    golden, now = json.loads(GOLDEN.read_text()), digests()
    changed = [
        f"{prompt}: {stage}"
        for prompt, stages in now.items()
        for stage, digest in stages.items()
        if golden.get(prompt, {}).get(stage) != digest
    ]
    assert not changed, f"raise code versions and record why in docs/decisions.md: {changed}"
    assert golden == now, "a step or a prompt is in no plan any more"


@pytest.mark.parametrize("step", [one for one in GRAPH if one.version != "1"], ids=lambda step: step.name)
def test_every_code_version_that_was_raised_is_recorded_with_its_reason(step: Step[Any, Any]) -> None:
    page = (project() / "docs" / "decisions.md").read_text("utf-8")
    section = page.split("## Code versions raised")[1].split("\n## ")[0]
    lists = re.findall(r"((?:`\w+`(?: and |, )?)+) \d+ → (\d+)", section)
    raised = [version for names, version in lists if f"`{step.name}`" in names]
    assert max(raised, key=int, default="1") == step.version
