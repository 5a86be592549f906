"""Documents that a prompt names are looked at before anybody is asked."""

from pathlib import Path
from typing import Any

import pytest

from datashop_assets.core.step import CheckContext, CheckResult
from datashop_assets.documents.checks import POOL_CHECKS
from datashop_assets.documents.steps import pretraining_pool
from datashop_assets.prompts.prompt import parse_prompt
from datashop_assets_tests.documents.handled_files import lines
from datashop_assets_tests.documents.making import make_pool, rows

ANNOTATOR = {"scoring": "generate", "model": "some/model"}


def checked(tmp_path: Path, **sections: Any) -> CheckResult:
    (tmp_path / "pool.jsonl").write_bytes(lines(rows(0, 10)))
    fields = {"name": "Tides", "annotator": ANNOTATOR, "pretraining_pool": f"{tmp_path}/pool.jsonl", **sections}
    if "targets" not in fields:
        fields["rubric"] = "{example}"
    pool = make_pool(f"{tmp_path}/pool.jsonl", tmp_path / "out")
    [check] = POOL_CHECKS
    assert check in pretraining_pool.checks
    return check.evaluate(CheckContext(parse_prompt(fields, "tides", "tides.yaml"), pool, {}))


@pytest.mark.parametrize("place", ["targets.one", "evaluation.targets", "evaluation.benchmarks[0]"])
@pytest.mark.parametrize("field", ["text", "body"])
def test_documents_that_a_prompt_names_are_tried_when_the_pool_is_made(tmp_path: Path, place: str, field: str) -> None:
    (tmp_path / "named.jsonl").write_bytes(lines([{}, {"text": "a text", "n": 1}]))
    named = {"uri": f"{tmp_path}/named.jsonl", "text_field": field}
    sections: dict[str, dict[str, Any]] = {
        "targets.one": {"targets": {"one": named, "two": ["a text"]}},
        "evaluation.targets": {"evaluation": {"targets": named}},
        "evaluation.benchmarks[0]": {"evaluation": {"benchmarks": [named]}},
    }
    result = checked(tmp_path, **sections[place])
    assert (result.passed, result.blocks) == (field == "text", True)
    if field == "body":
        assert result.description.startswith(f"{place}: none of the first rows of '{tmp_path}/named.jsonl'")
        assert "correct uri or text_field" in result.description


def test_a_prompt_that_names_none_passes(tmp_path: Path) -> None:
    assert checked(tmp_path).passed
