"""Nothing is asked twice, and everything is asked again that another answer could come of."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from datashop_assets.annotations.results import AnnotationsResult
from datashop_assets.asking.replies import ProcessorConfig, WrittenParsing
from datashop_assets.core.step import StepOutput
from datashop_assets.prompts.annotator_settings import SamplingSettings
from datashop_assets.protocols.processor import Parsed
from datashop_assets_tests.annotations.annotators import WordCounter
from datashop_assets_tests.annotations.conftest import (
    CONFIG,
    LIKELIHOOD,
    ONE_ROUND,
    QUESTION,
    WRITTEN,
    Inputs,
    annotate,
    make_inputs,
)
from datashop_assets_tests.stages import writer

UPSIDE_DOWN = WrittenParsing(
    processor=ProcessorConfig(type=f"{__name__}:UpsideDown", options={"highest": 5}, version="1")
)


class UpsideDown:
    """A processor of a user's own: the worse, the better."""

    answers = ("Final score: 0",)

    def __init__(self, highest: int) -> None:
        self.highest = highest

    def parse(self, reply: str) -> Parsed:
        return Parsed(self.highest - int(reply[-1])) if reply[-1:].isdigit() else Parsed(None, "no digit")


def test_another_processor_reads_the_same_replies_and_asks_nothing(tmp_path: Path, inputs: Inputs) -> None:
    before = annotate(tmp_path, "before", WRITTEN, inputs, WordCounter()).table()
    config = WRITTEN.model_copy(update={"parsing": UPSIDE_DOWN})
    made = annotate(tmp_path, "after", config, inputs, again := WordCounter())

    assert again.requests == []
    assert made.result.asked_now == 0
    assert made.table()["raw"].to_list() == before["raw"].to_list()
    assert made.table()["score"].to_list() == [5 - score for score in before["score"]]


def test_more_documents_ask_only_about_the_new_ones(tmp_path: Path, inputs: Inputs) -> None:
    more, everything = (WRITTEN.model_copy(update={"documents": documents}) for documents in (130, 700))
    annotate(tmp_path, "few", WRITTEN, inputs, first := WordCounter())
    annotate(tmp_path, "more", more, inputs, second := WordCounter())
    annotate(tmp_path, "all", everything, make_inputs(tmp_path, 700), third := WordCounter())
    asked = [one.text for annotator in (first, second, third) for one in annotator.requests]

    assert (len(first.requests), len(second.requests)) == (100, 30)
    assert len(set(asked)) == len(asked) == 700


@pytest.mark.parametrize(
    ("change", "revision"),
    [
        ({"model": "other"}, "1"),
        ({"revision": "abc"}, "1"),
        ({}, "2"),
        ({"sampling": SamplingSettings(temperature=0.5)}, "1"),
        ({"read_characters": 81}, "1"),
        ({"reading": "windows"}, "1"),
        ({"likelihood": LIKELIHOOD.model_copy(update={"question": "{example}??"})}, "1"),
    ],
)
def test_whatever_an_answer_depends_on_asks_again(
    tmp_path: Path, inputs: Inputs, change: Mapping[str, Any], revision: str
) -> None:
    config = CONFIG.model_copy(update={"second_round": ONE_ROUND})
    before = annotate(tmp_path, "before", config, inputs, WordCounter())
    config = config.model_copy(update={"question": QUESTION.model_copy(update=change)})
    after = annotate(tmp_path, "after", config, inputs, again := WordCounter(revision=revision))

    assert len(again.requests) == 100
    assert before.result.digests.generation != after.result.digests.generation


def test_failed_calls_are_asked_again_and_nothing_else_is(tmp_path: Path, inputs: Inputs) -> None:
    before = annotate(tmp_path, "annotations", CONFIG, inputs, WordCounter(fails_on=("1", "2")))
    rows = before.table()
    failed = set(rows.filter(status="failed")["id"])
    after = _taken_up(tmp_path, inputs, again := WordCounter(fails_on=("2",)))

    assert before.result.failed_calls == len(failed) > 40
    assert {text.text.split()[0] for text in again.requests} == {name.removeprefix("doc-") for name in failed}
    assert 0 < after.result.failed_calls < len(failed)
    assert after.table()["id"].to_list() == rows["id"].to_list()  # the draws are kept
    assert after.table()["probability"].to_list() == pytest.approx(rows["probability"].to_list())
    assert after.manifest.content_digest != before.manifest.content_digest


def test_every_reply_is_accounted_for(tmp_path: Path, inputs: Inputs) -> None:
    says = {"king": "...", "river": "no", "planet": "I cannot tell."}
    made = annotate(tmp_path, "annotations", WRITTEN, inputs, asked := WordCounter(says=says, fails_on=("3",)))
    rows = made.table()
    by_status = {status: set(part["raw"]) for (status,), part in rows.group_by("status")}
    repaired = rows.filter(status="repaired")

    assert by_status["failed"] == {""}
    assert by_status["refused"] == {"no"}
    assert by_status["repaired"] == {"...", "I cannot tell."}
    assert by_status["parsed"] <= {f"Final score: {score}" for score in range(6)}
    assert set(repaired["raw_repair"]) == {"Final score: 5"}
    assert set(repaired["score"]) == {5}
    assert {reason.partition(":")[0] for reason in repaired["reason"]} == {"truncated", "unparsed"}
    assert len(asked.requests) == 100 + len(repaired)
    assert [one.before for one in asked.requests if one.constrain] != [""] * len(repaired)
    annotate(tmp_path, "again", WRITTEN, inputs, again := WordCounter(fails_on=("3",)))
    assert len(again.requests) == len(rows.filter(status="failed"))


def test_a_document_that_no_answer_came_for_failed(tmp_path: Path, inputs: Inputs) -> None:
    class Silent(WordCounter):
        def answer(self, asked: Any, question: Any) -> Any:
            return (one for place, one in enumerate(super().answer(asked, question)) if place % 2)

    rows = annotate(tmp_path, "annotations", WRITTEN, inputs, Silent()).table()
    assert set(rows.filter(status="failed")["reason"]) == {"the annotator gave no answer"}
    assert len(rows.filter(status="failed")) == 50


def test_all_documents_of_a_round_are_one_stream_without_groups(tmp_path: Path, inputs: Inputs) -> None:
    class Fleet(WordCounter):
        def answer(self, asked: Any, question: Any) -> Any:
            return super().answer(reversed(list(asked)), question)  # everything in flight before the first answer

    in_turn = annotate(tmp_path / "in turn", "annotations", CONFIG, inputs, WordCounter())
    at_once = annotate(tmp_path / "at once", "annotations", CONFIG, inputs, Fleet())
    assert at_once.manifest.content_digest == in_turn.manifest.content_digest


def test_an_answer_about_what_was_not_asked_stops_the_run(tmp_path: Path, inputs: Inputs) -> None:
    class Twice(WordCounter):
        def answer(self, asked: Any, question: Any) -> Any:
            for one in super().answer(asked, question):
                yield from (one, one)

    with pytest.raises(ValueError, match="which was not asked or is answered already"):
        annotate(tmp_path, "annotations", WRITTEN, inputs, Twice())


def _taken_up(root: Path, inputs: Inputs, annotator: WordCounter) -> StepOutput[AnnotationsResult]:
    """What a second run does with a finished output of which some calls failed."""
    output = writer(root, "annotations")
    output.begin({}, reopen=True)
    return annotate(root, "annotations", CONFIG, inputs, annotator, output=output)
