"""Pinning: the written rubric takes the place of the targets, and nothing else in the file changes."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datashop_assets.prompts.editing import pinned
from datashop_assets.prompts.parsing import PromptError
from datashop_assets.prompts.prompt import load_prompt

FILE = """\
# About tides.
name: Tides  # a name

targets:
  # from the harbour
  moon:
    - "High water {x}"
    - |
      Low
      water
  sun: {uri: "/nowhere/*.jsonl", documents: 3}
writing: {seed: 3}

annotator: # who
  scoring: generate
keep: {fraction: 0.05} # few
"""
RUBRIC = 'Great texts: $\\frac{a}{b}$ "quoted" # no comment\n\n  indented\n\n{example}\n\nLabel: L'


def test_targets_become_comments_below_the_rubric_and_all_else_stays(tmp_path: Path) -> None:
    file = tmp_path / "tides.yaml"
    file.write_text(FILE)
    before = load_prompt(file)
    file.write_text(pinned(file, RUBRIC))
    after = load_prompt(file)

    assert (after.rubric, after.targets) == (RUBRIC, None)
    assert after.processor == before.processor
    assert (after.annotator.scoring, after.keep) == (before.annotator.scoring, before.keep)
    text = file.read_text()
    for kept in ("# About tides.", "name: Tides  # a name", "# targets:", '#     - "High water {x}"', "# few", "# who"):
        assert kept in text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n"), max_size=80))
def test_any_written_text_is_pinned_to_the_character_or_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "tides.yaml"
    file.write_text(FILE)
    rubric = text.replace("{example}", "") + "\n{example} Label"
    try:
        file.write_text(pinned(file, rubric), encoding="utf-8")
    except PromptError:
        return
    assert load_prompt(file).rubric == rubric


def test_a_file_without_targets_has_nothing_to_pin(tmp_path: Path) -> None:
    file = tmp_path / "tides.yaml"
    file.write_text('name: Tides\nrubric: "{example}"\nannotator: {scoring: generate}\n')
    with pytest.raises(PromptError, match="no written rubric to pin"):
        pinned(file, RUBRIC)
