"""A budget stops annotation cleanly: what was answered is kept, and a larger budget goes on from there."""

from pathlib import Path
from typing import Any

import pytest

from datashop_assets.annotations.results import AnnotationsResult
from datashop_assets.annotations.steps import annotations
from datashop_assets.core.step import StepOutput
from datashop_assets.prompts.prompt import parse_prompt
from datashop_assets_tests.annotations.annotators import WordCounter
from datashop_assets_tests.annotations.conftest import CONFIG, Inputs, annotate


def run(root: Path, inputs: Inputs, annotator: WordCounter, **limits: Any) -> StepOutput[AnnotationsResult]:
    return annotate(root, "annotations", CONFIG, inputs, annotator, limits=limits)


def test_tokens_that_are_spent_stop_the_asking_and_keep_the_answers(tmp_path: Path, inputs: Inputs) -> None:
    with pytest.raises(ValueError, match=r"tokens: 260 spent of 260\); 80 documents are not asked"):
        run(tmp_path, inputs, first := WordCounter(), tokens=260)  # 13 a document
    with pytest.raises(ValueError, match="260 spent of 260"):
        run(tmp_path, inputs, idle := WordCounter(), tokens=260)
    made = run(tmp_path, inputs, last := WordCounter(), tokens=5000)

    assert (len(first.requests), len(idle.requests), len(last.requests)) == (20, 0, 140)
    assert made.result.asked == 160


def test_money_is_time_at_a_price(tmp_path: Path, inputs: Inputs) -> None:
    with pytest.raises(ValueError, match=r"money: .* spent of"):
        run(tmp_path, inputs, WordCounter(), money=1e-9, price_per_hour=10.0)


def test_with_and_without_a_budget_the_rows_are_the_same(tmp_path: Path, inputs: Inputs) -> None:
    whole = annotate(tmp_path / "whole", "annotations", CONFIG, inputs, WordCounter())
    with pytest.raises(ValueError, match="budget"):
        run(tmp_path / "part", inputs, WordCounter(), tokens=700)
    resumed = annotate(tmp_path / "part", "annotations", CONFIG, inputs, WordCounter())

    assert resumed.manifest.content_digest == whole.manifest.content_digest


def test_a_budget_changes_no_digest_and_takes_its_price_from_the_table() -> None:
    def prompt(**annotator: Any) -> Any:
        fields = {"name": "x", "rubric": "{example}", "annotator": {"scoring": "generate", **annotator}}
        return parse_prompt(fields, "x", "x.yaml")

    with_budget = prompt(budget={"money": 5.0, "hardware": "v6e-8"})
    assert annotations.configure(with_budget) == annotations.configure(prompt())
    assert annotations.limits(with_budget)["price_per_hour"] > 0
    with pytest.raises(ValueError, match="no hardware 'abacus'"):
        annotations.limits(prompt(budget={"money": 5.0, "hardware": "abacus"}))
