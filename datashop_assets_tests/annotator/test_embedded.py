"""The embedded annotator on real documents with the real model."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from datashop_assets.core.step import Resources
from datashop_assets.excerpts import MARK
from datashop_assets.prompts.prompt import parse_prompt
from datashop_assets.prompts.template import EXAMPLE
from datashop_assets.protocols.annotator import AnnotationRequest, Ended, Question, Reading, Sampling
from datashop_assets.rubric.results import read_rubric
from datashop_assets.rubric.steps import rubric as rubric_step
from datashop_assets_tests.stages import run_step
from resources.annotator.embedded import EmbeddedAnnotator

QUESTION = Question(
    model="smollm2-135m-instruct",
    revision="",
    scoring="likelihood",
    prompt="Document:\n{example}\n\nWhat school subject does this document belong to?",
    answer_begins="This document is useful for studying",
    options=("mathematics", "history", "biology", "computers"),
    sampling=Sampling(),
    reading=Reading(1000),
)
TEXTS = {
    "algebra": "In algebra, a quadratic equation has two roots, given by the quadratic formula. Completing the square "
    "proves it: every polynomial of degree two can be written as a square plus a constant.",
    "rome": "The Roman Empire fell in the west in the year 476, when Odoacer deposed the last emperor, Romulus.",
    "cell": "Mitochondria are organelles of the cell. They make most of its chemical energy by respiration.",
    "empty": "",
}
WRITING_ANNOTATOR = {"question": "{example}?", "answer_begins": "It is", "targets": ["mathematics"]}
TARGETS = ["The derivative of $x^{2}$ is $2x$.", "A proof by induction begins with a base case."]
DOCUMENTS = [AnnotationRequest(name, text, "made") for name, text in TEXTS.items()]


@pytest.fixture(scope="module")
def annotator() -> EmbeddedAnnotator:
    return EmbeddedAnnotator(rows=1)


def mathematics(annotator: EmbeddedAnnotator, documents: list[AnnotationRequest]) -> dict[str, float]:
    answers = annotator.answer(documents, QUESTION)
    return {one.id: one.probabilities["mathematics"] for one in answers if one.probabilities}


def test_a_topic_is_recognised_whatever_stands_beside_it(annotator: EmbeddedAnnotator) -> None:
    answers = {answer.id: answer for answer in annotator.answer(DOCUMENTS, QUESTION)}
    scores = mathematics(annotator, DOCUMENTS)

    assert list(answers) == list(TEXTS)
    assert {answer.ended for answer in answers.values()} == {Ended.COMPLETE}
    assert scores["algebra"] > 0.8
    assert max(scores["rome"], scores["cell"]) < 0.2
    assert sum((answers["rome"].probabilities or {}).values()) == pytest.approx(1, abs=1e-9)
    assert orjson.loads(answers["rome"].raw) == pytest.approx(answers["rome"].probabilities, abs=1e-6)


def test_a_document_is_answered_alike_alone_and_packed_with_others(annotator: EmbeddedAnnotator) -> None:
    alone = {name: score for one in DOCUMENTS for name, score in mathematics(annotator, [one]).items()}

    assert mathematics(annotator, DOCUMENTS) == pytest.approx(alone, abs=4e-5)


def test_template_marks_in_a_document_are_only_text(annotator: EmbeddedAnnotator) -> None:
    marks, nothing = annotator.answer([AnnotationRequest("marks", "<|im_end|>" * 20, "made"), DOCUMENTS[3]], QUESTION)

    assert marks.tokens_in - nothing.tokens_in > 60  # as marks they would be 20 tokens


def test_one_document_that_cannot_be_read_fails_and_the_rest_go_on(annotator: EmbeddedAnnotator) -> None:
    broken = AnnotationRequest("broken", "half a pair \ud800", "made")
    first, failed, last = annotator.answer([DOCUMENTS[0], broken, DOCUMENTS[1]], QUESTION)

    assert (first.ended, last.ended) == (Ended.COMPLETE, Ended.COMPLETE)
    assert (failed.ended, failed.probabilities) == (Ended.FAILED, None)
    assert "surrogate" in failed.reason


def test_what_is_longer_than_a_row_is_cut_between_characters_and_marked(annotator: EmbeddedAnnotator) -> None:
    long, rare = "number " * 500, "√🙂数" * 300
    by_characters, by_tokens = annotator.answer(
        [AnnotationRequest("long", long, "made"), AnnotationRequest("rare", rare, "made")], QUESTION
    )

    assert (by_characters.cut, by_tokens.cut) == (True, True)
    assert by_characters.text == long[:1000] + MARK.rstrip()
    read = by_tokens.text.removesuffix(MARK.rstrip())
    assert 20 < len(read) < 300
    assert rare.startswith(read)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "gpt-9"}, "embedded annotator has"),
        ({"scoring": "generate"}, "too small to write a reply"),
        (
            {"options": ("computer science", "computer games")},
            "begin with the same token",
        ),
        ({"prompt": "{example}" + " why" * 300}, "shorten the question"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused_with_the_fix(
    annotator: EmbeddedAnnotator, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        next(annotator.answer(DOCUMENTS, replace(QUESTION, **change)))


@pytest.mark.faults  # 35 s on two busy cores; the quick suite writes with a scribbler
def test_a_rubric_is_written_from_target_documents_by_the_embedded_model(tmp_path: Path) -> None:
    fields = {
        "name": "x",
        "targets": TARGETS,
        "writing": {"sampling": {"temperature": 0.0, "max_tokens": 12}},
        "annotator": {"likelihood": WRITING_ANNOTATOR},
    }
    config = rubric_step.configure(parse_prompt(fields, "x", "x.yaml"))
    assert config is not None
    made = run_step(rubric_step, tmp_path, config, resources=Resources(annotator=EmbeddedAnnotator()))
    rubric, writing = read_rubric(made), made.result.writing

    assert writing is not None
    assert (writing.calls, writing.tokens_out) == (3, 3 * 12)
    assert rubric.text.count(EXAMPLE) == 1
    assert rubric.sets is not None
    assert rubric.sets["targets"] in rubric.text
    assert len(rubric.sets["targets"]) > 20
