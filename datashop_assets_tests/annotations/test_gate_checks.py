"""The gates as checks of annotations that were really made."""

from pathlib import Path
from typing import Any

from datashop_assets.annotations.describe import describe_annotations
from datashop_assets.annotations.gates import documents_of, gate_report
from datashop_assets.annotations.results import AnnotationsResult
from datashop_assets.annotations.steps import ONE_SERVER, WHOLE_DOCUMENTS, annotations
from datashop_assets.core.step import CheckContext, CheckResult, StepOutput
from datashop_assets.prompts.annotator_settings import Gates
from datashop_assets.prompts.prompt import parse_prompt
from datashop_assets.protocols.annotator import AnnotationRequest, Answer, Question
from datashop_assets_tests.annotations.annotators import WordCounter
from datashop_assets_tests.annotations.conftest import WRITTEN, Inputs, annotate


def checked(made: StepOutput[AnnotationsResult], **gates: Any) -> dict[str, CheckResult]:
    annotator = {"scoring": "generate", "gates": gates}
    prompt = parse_prompt({"name": "x", "rubric": "{example}", "annotator": annotator}, "x", "x.yaml")
    context = CheckContext(prompt, made, {})
    return {check.name: check.evaluate(context) for check in annotations.checks}


def failed(results: dict[str, CheckResult]) -> dict[str, bool]:
    """Checks that are not passed -> whether they stop what is downstream."""
    return {name: one.blocks for name, one in results.items() if not one.passed}


def test_answers_that_are_not_fit_stop_with_the_gate_the_figure_and_documents(tmp_path: Path, inputs: Inputs) -> None:
    made = annotate(tmp_path, "annotations", WRITTEN, inputs, WordCounter(fails_on=("1",)))
    results = checked(made)

    assert failed(results) == {"coverage": True}
    assert " of 100 asked documents have a score " in results["coverage"].description
    sample = results["coverage"].sample
    assert sample is not None
    assert "| doc-1" in sample.markdown()
    assert any(line.startswith("id doc-1") and "broken | text" in line for line in sample.lines())
    assert failed(checked(made, blocking=[])) == {"coverage": False}


def test_what_a_failed_gate_shows_is_read_whole_and_only_that(tmp_path: Path, inputs: Inputs) -> None:
    made = annotate(tmp_path, "annotations", WRITTEN, inputs, WordCounter(fails_on=("1",)))
    report = gate_report("coverage", Gates(), made)
    shown = list(documents_of(report, made))

    assert "text" not in report.look_at.columns
    assert {row["reason"] for row in shown} == {"broken | text"}
    assert len(shown) == 5


def test_answers_of_servers_that_differ_are_told(tmp_path: Path, inputs: Inputs) -> None:
    class Served(WordCounter):
        def _answer(self, one: AnnotationRequest, question: Question) -> Answer:
            answer = super()._answer(one, question)
            return Answer(**{**_fields(answer), "endpoint": f"http://a/v1 build-{len(self.requests) % 2}"})

    made = annotate(tmp_path, "annotations", WRITTEN, inputs, Served())
    alike = annotate(tmp_path / "alike", "annotations", WRITTEN, inputs, WordCounter())

    assert "servers that differ** (build-0, build-1)" in describe_annotations(made)["how documents ended"]
    assert failed(checked(made)) == {ONE_SERVER.name: False}
    assert "annotator.revision" in ONE_SERVER.description
    assert "build-0, build-1" in checked(made)[ONE_SERVER.name].description
    assert failed(checked(alike)) == {}


def test_a_server_that_cuts_documents_without_a_word_is_told(tmp_path: Path, inputs: Inputs) -> None:
    """It reads 270 tokens: 250 of the question, and of each document 20, each of them a character."""

    class Cutting(WordCounter):
        context = 270

        def _answer(self, one: AnnotationRequest, question: Question) -> Answer:
            answer = super()._answer(one, question)
            read = min(250 + len(answer.text), self.context)
            return Answer(**{**_fields(answer), "tokens_in": read, "endpoint": "http://a/v1"})

    class Whole(Cutting):
        context = 10_000

    made = annotate(tmp_path, "annotations", WRITTEN, inputs, Cutting())
    whole = annotate(tmp_path / "whole", "annotations", WRITTEN, inputs, Whole())

    assert made.result.ceiling == 270
    assert failed(checked(made)) == {WHOLE_DOCUMENTS.name: False}
    assert "exactly 270 tokens" in checked(made)[WHOLE_DOCUMENTS.name].description
    assert "`num_ctx`" in WHOLE_DOCUMENTS.description
    assert "no more than 270 tokens of a prompt" in describe_annotations(made)["how documents ended"]
    assert whole.result.ceiling is None
    assert failed(checked(whole)) == {}
    assert "of a prompt" not in describe_annotations(whole)["how documents ended"]


def _fields(answer: Answer) -> dict[str, Any]:
    return {name: getattr(answer, name) for name in Answer.__slots__}
