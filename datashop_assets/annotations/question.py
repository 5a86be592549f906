"""The question that a prompt's annotator section asks of every document."""

from collections.abc import Mapping
from typing import Any

import orjson

from datashop_assets.protocols.annotator import Question
from datashop_assets.stage import StageTask


def question_of(annotator: Mapping[str, Any], rubric: str) -> Question:
    """The rubric, or by likelihood the section's own question, because a small model cannot follow a rubric.

    `annotator` is the section as JSON with every default filled in.
    """
    asked = annotator["likelihood"] if annotator["scoring"] == "likelihood" else {"question": rubric}
    return Question(
        model=annotator["model"],
        scoring=annotator["scoring"],
        prompt=asked["question"],
        answer_begins=asked.get("answer_begins", ""),
        options=tuple(asked.get("options", ())),
        targets=tuple(asked.get("targets", ())),
        read_characters=annotator["read_characters"],
    )


def rubric_of(task: StageTask) -> str:
    """The text of the stage's `rubric` input."""
    return str(orjson.loads(task.inputs["rubric"].file("rubric.json").read_bytes())["text"])
