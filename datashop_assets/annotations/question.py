"""The question that a prompt's annotator section asks of every document, and how its answers are read."""

from collections.abc import Mapping
from typing import Any

import orjson

from datashop_assets.core.step import OpenRun
from datashop_assets.processors.replies import HIGHEST_SCORE
from datashop_assets.prompts.prompt import Prompt
from datashop_assets.protocols.annotator import Annotator, Question, Reading, Sampling
from datashop_assets.storage.stage_folder import StageFolder


def parsing_of(prompt: Prompt) -> dict[str, Any]:
    """All that the meaning of an answer depends on, as JSON: scores of options, or the processor of written replies."""
    return parsing_as(prompt.annotator.asked(), prompt.processor.identity)


def parsing_as(asked: Mapping[str, Any], processor: Mapping[str, Any]) -> dict[str, Any]:
    """The same, of a question in the form of `AnnotatorSettings.asked`."""
    own = asked.get(asked["scoring"])
    if asked["scoring"] == "likelihood" and own:
        return {"scores": {option: HIGHEST_SCORE * (option in own["targets"]) for option in own["options"]}}
    if asked["scoring"] == "score_token" and own:
        return {"scores": own["options"]}
    return {"processor": dict(processor)}


def question_of(asked: Mapping[str, Any], rubric: str, annotator: Annotator) -> Question:
    """The rubric, or by likelihood the section's own question, because a small model cannot follow a rubric.

    `asked` is what `AnnotatorSettings.asked` gives.
    """
    own = asked.get(asked["scoring"]) or {}
    options = own.get("options", ())
    model, revision = annotator.identity(asked["model"])
    return Question(
        model=model,
        revision=asked["revision"] or revision,
        scoring=asked["scoring"],
        prompt=own.get("question", rubric),
        answer_begins=own.get("answer_begins", ""),
        options=tuple(sorted(options, key=lambda option: (options[option], option)))
        if isinstance(options, Mapping)  # in one order, whatever the file's: from the lowest score up
        else tuple(options),
        sampling=Sampling(**asked["sampling"]),
        reading=Reading(asked["read_characters"], asked["reading"]),
    )


def rubric_of(run: OpenRun) -> str:
    """The text of the stage's `rubric` input."""
    return rubric_text(run.inputs["rubric"])


def rubric_text(rubric: StageFolder) -> str:
    """The text that a finished `rubric` stage holds."""
    return str(orjson.loads(rubric.file("rubric.json").read_bytes())["text"])
