"""The embedded annotator on real documents with the real model."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from datashop_assets.protocols.annotator import Question, Status
from datashop_assets.protocols.documents import Document
from resources.annotator.embedded import EmbeddedAnnotator

QUESTION = Question(
    model="smollm2-135m-instruct",
    scoring="likelihood",
    prompt="Document:\n{example}\n\nWhat school subject does this document belong to?",
    answer_begins="This document is useful for studying",
    options=("mathematics", "history", "biology", "computers"),
    targets=("mathematics",),
    read_characters=1000,
)
TEXTS = {
    "algebra": "In algebra, a quadratic equation has two roots, given by the quadratic formula. Completing the square "
    "proves it: every polynomial of degree two can be written as a square plus a constant.",
    "rome": "The Roman Empire fell in the west in the year 476, when Odoacer deposed the last emperor, Romulus.",
    "cell": "Mitochondria are organelles of the cell. They make most of its chemical energy by respiration.",
    "empty": "",
}
DOCUMENTS = [Document(name, text, "made") for name, text in TEXTS.items()]


@pytest.fixture(scope="module")
def annotator() -> EmbeddedAnnotator:
    return EmbeddedAnnotator(rows=1)


def test_a_topic_is_recognised_whatever_stands_beside_it(annotator: EmbeddedAnnotator) -> None:
    replies = {reply.id: reply for reply in annotator.annotate(DOCUMENTS, QUESTION)}
    scores = {name: reply.expected_score or 0.0 for name, reply in replies.items()}

    assert list(replies) == list(TEXTS)
    assert {reply.status for reply in replies.values()} == {Status.PARSED}
    assert scores["algebra"] > 4
    assert max(scores["rome"], scores["cell"]) < 1
    assert sum(orjson.loads(replies["rome"].raw).values()) == pytest.approx(1, abs=1e-5)
    assert replies["algebra"].score == round(scores["algebra"])


def test_a_document_is_answered_alike_alone_and_packed_with_others(annotator: EmbeddedAnnotator) -> None:
    together = [reply.expected_score for reply in annotator.annotate(DOCUMENTS, QUESTION)]
    alone = [reply.expected_score for one in DOCUMENTS for reply in annotator.annotate([one], QUESTION)]

    assert together == pytest.approx(alone, abs=2e-4)


def test_template_marks_in_a_document_are_only_text(annotator: EmbeddedAnnotator) -> None:
    marks, nothing = annotator.annotate([Document("marks", "<|im_end|>" * 20, "made"), DOCUMENTS[3]], QUESTION)

    assert marks.tokens_in - nothing.tokens_in > 60  # as marks they would be 20 tokens


def test_one_document_that_cannot_be_read_fails_and_the_rest_go_on(annotator: EmbeddedAnnotator) -> None:
    broken = Document("broken", "half a pair \ud800", "made")
    first, failed, last = annotator.annotate([DOCUMENTS[0], broken, DOCUMENTS[1]], QUESTION)

    assert (first.status, last.status) == (Status.PARSED, Status.PARSED)
    assert (failed.status, failed.score) == (Status.FAILED, None)
    assert "surrogate" in failed.reason


def test_what_is_longer_than_a_row_is_cut_between_characters_and_marked(annotator: EmbeddedAnnotator) -> None:
    by_characters, by_tokens = annotator.annotate(
        [Document("long", "number " * 500, "made"), Document("rare", "√🙂数" * 300, "made")], QUESTION
    )

    assert (by_characters.cut, by_tokens.cut) == (True, True)
    assert by_characters.text == ("number " * 500)[:1000]
    assert len(by_tokens.text) < 300
    assert by_tokens.text == ("√🙂数" * 300)[: len(by_tokens.text)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "gpt-9"}, "embedded annotator has"),
        ({"scoring": "generate"}, "too small to write a reply"),
        (
            {"options": ("computer science", "computer games"), "targets": ("computer games",)},
            "begin with the same token",
        ),
        ({"prompt": "{example}" + " why" * 300}, "shorten the question"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused_with_the_mend(
    annotator: EmbeddedAnnotator, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        next(annotator.annotate(DOCUMENTS, replace(QUESTION, **change)))
