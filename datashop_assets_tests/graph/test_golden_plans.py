"""Plan digests stay what they are: a change of the code's shape makes nothing stale."""

import json

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
