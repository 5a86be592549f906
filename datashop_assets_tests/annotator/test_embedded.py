"""The embedded annotator on real documents with the real model."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from datashop_assets.excerpts import MARK
from datashop_assets.protocols.annotator import Asked, Ended, Question, Reading, Sampling
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
DOCUMENTS = [Asked(name, text, "made") for name, text in TEXTS.items()]


@pytest.fixture(scope="module")
def annotator() -> EmbeddedAnnotator:
    return EmbeddedAnnotator(rows=1)


def mathematics(annotator: EmbeddedAnnotator, documents: list[Asked]) -> dict[str, float]:
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
    marks, nothing = annotator.answer([Asked("marks", "<|im_end|>" * 20, "made"), DOCUMENTS[3]], QUESTION)

    assert marks.tokens_in - nothing.tokens_in > 60  # as marks they would be 20 tokens


def test_one_document_that_cannot_be_read_fails_and_the_rest_go_on(annotator: EmbeddedAnnotator) -> None:
    broken = Asked("broken", "half a pair \ud800", "made")
    first, failed, last = annotator.answer([DOCUMENTS[0], broken, DOCUMENTS[1]], QUESTION)

    assert (first.ended, last.ended) == (Ended.COMPLETE, Ended.COMPLETE)
    assert (failed.ended, failed.probabilities) == (Ended.FAILED, None)
    assert "surrogate" in failed.reason


def test_what_is_longer_than_a_row_is_cut_between_characters_and_marked(annotator: EmbeddedAnnotator) -> None:
    long, rare = "number " * 500, "√🙂数" * 300
    by_characters, by_tokens = annotator.answer([Asked("long", long, "made"), Asked("rare", rare, "made")], QUESTION)

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
def test_a_question_that_cannot_be_asked_is_refused_with_the_mend(
    annotator: EmbeddedAnnotator, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        next(annotator.answer(DOCUMENTS, replace(QUESTION, **change)))
