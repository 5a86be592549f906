"""The rubric stage keeps what the prompt file says, to the character."""

from pathlib import Path

import orjson

from datashop_assets.rubric.build import build
from datashop_assets.rubric.describe import describe
from datashop_assets_tests.stages import run_build

RUBRIC = "Score {example} — with $\\frac{a}{b}$, {braces} and <b>marks</b>\n"


def test_a_given_rubric_is_stored_unchanged_and_shown_escaped(tmp_path: Path) -> None:
    made = run_build(build, "rubric", tmp_path, {"rubric": RUBRIC}, {})

    assert orjson.loads(made.file("rubric.json").read_bytes()) == {"text": RUBRIC, "origin": "given"}
    assert "&lt;b&gt;" in describe(made)["rubric (given)"]
