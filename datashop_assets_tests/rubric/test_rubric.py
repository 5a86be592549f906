"""The rubric step keeps what the prompt file says, to the character."""

from pathlib import Path

import orjson

from datashop_assets.rubric.results import RubricConfig, rubric_text
from datashop_assets.rubric.steps import rubric
from datashop_assets_tests.stages import run_step

RUBRIC = "Score {example} — with $\\frac{a}{b}$, {braces} and <b>marks</b>\n"


def test_a_given_rubric_is_stored_unchanged_and_shown_escaped(tmp_path: Path) -> None:
    made = run_step(rubric, tmp_path, RubricConfig(text=RUBRIC))

    assert orjson.loads(made.file("rubric.json").read_bytes()) == {"text": RUBRIC, "origin": "given"}
    assert rubric_text(made) == RUBRIC
    assert "&lt;b&gt;" in rubric.describe(made)["rubric (given)"]


def test_where_no_question_shows_it_its_text_is_empty() -> None:
    assert rubric_text(None) == ""
