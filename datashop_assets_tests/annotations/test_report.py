"""The report on annotations that a counting annotator made: who is asked again, what is counted, what is shown."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from datashop_assets.annotations.results import Agreement, AnnotatorReportConfig, AnnotatorReportResult, NoAgreement
from datashop_assets.annotations.steps import annotator_report
from datashop_assets.core.step import Resources, StepOutput
from datashop_assets.prompts.prompt import parse_prompt
from datashop_assets.protocols.annotator import AnnotationRequest, Answer, Question
from datashop_assets.storage.digests import unit_hash
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets_tests.annotations.annotators import WordCounter
from datashop_assets_tests.annotations.conftest import WRITTEN, annotate, make_inputs
from datashop_assets_tests.stages import run_step

Made = tuple[Path, Sequence[StageFolder]]


class Moody(WordCounter):
    """Says another score about a fifth of the documents with another seed, and about half as another model."""

    def answer(self, asked: Iterable[AnnotationRequest], question: Question) -> Iterator[Answer]:
        texts = {}

        def noted() -> Iterator[AnnotationRequest]:
            for one in asked:
                texts[one.id] = one.text
                yield one

        share = 0.5 if question.model.endswith("other") else 0.2 * (question.sampling.seed > 0)
        for answer in super().answer(noted(), question):
            swayed = unit_hash("mood", texts[answer.id]) < share
            yield replace(answer, raw="Final score: 2") if swayed else answer


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    root = tmp_path_factory.mktemp("report")
    inputs = make_inputs(root)
    return root, [*inputs, annotate(root, "annotations", WRITTEN, inputs, Moody())]


def config_of(annotator: dict[str, Any]) -> AnnotatorReportConfig:
    config = annotator_report.configure(
        parse_prompt({"name": "x", "rubric": "{example}", "annotator": annotator}, "x", "x")
    )
    assert config is not None
    return config


def report(made: Made, name: str, annotator: WordCounter, **settings: Any) -> StepOutput[AnnotatorReportResult]:
    root, inputs = made
    config = config_of({"model": "counter", "scoring": "generate", "read_characters": 80, "report": settings})
    return run_step(annotator_report, root, config, inputs, name=name, resources=Resources(annotator=annotator))


def file_of(made: StepOutput[AnnotatorReportResult]) -> Any:
    return orjson.loads(made.file("annotator_report.json").read_bytes())


def test_fifty_documents_are_asked_again_with_another_seed(made: Made) -> None:
    output = report(made, "again", annotator := Moody())
    again = output.result.self_agreement

    assert isinstance(again, Agreement)
    assert len(annotator.requests) == again.asked == again.documents == 50
    assert again.same_score is not None
    assert 0.6 < again.same_score.value < 1
    assert again.quadratic_kappa is not None
    assert again.quadratic_kappa.low is not None
    assert again.quadratic_kappa.low < again.quadratic_kappa.value < 1
    assert again.spearman is not None
    assert output.result.second_annotator is None
    assert file_of(output)["self_agreement"]["spearman"]["value"] == again.spearman.value
    assert file_of(output)["second_annotator"] is None


def test_a_second_annotator_is_asked_where_one_is_named_and_nothing_twice(made: Made) -> None:
    settings = {"again": 0, "second": {"model": "other", "documents": 60}}
    output = report(made, "second", annotator := Moody(), **settings)
    report(made, "second again", idle := Moody(), **settings)
    second, again = output.result.second_annotator, output.result.self_agreement

    assert (len(annotator.requests), idle.requests) == (60, [])
    assert second is not None
    assert second.model == file_of(output)["second_annotator"]["model"] == "maker/other"
    assert isinstance(second.agreement, Agreement)
    assert second.agreement.same_score is not None
    assert second.agreement.same_score.value < 0.8
    assert sum(map(sum, second.agreement.confusion)) == 60
    assert isinstance(again, NoAgreement)
    assert again.note.startswith("not asked: again is 0; set annotator.report.again")


def test_every_document_stands_in_one_decile_of_length_and_in_one_source(made: Made) -> None:
    result = report(made, "groups", Moody(), again=0).result
    lengths = [one.characters[0] for one in result.by_length]

    assert [one.scores.documents for one in result.by_length] == [10] * 10
    assert lengths == sorted(lengths)
    assert sum(one.scores.documents for one in result.by_source) == result.scores.documents == 100


def test_the_asset_shows_a_picture_and_the_tables(made: Made) -> None:
    shown = annotator_report.describe(report(made, "shown", Moody(), second={"model": "other"}))

    assert "](data:image/png;base64,iVBOR" in shown["picture"]
    assert "kappa" in shown["agreement with itself"]
    assert "maker/other" in shown["agreement with a second annotator"]
    assert shown["score by length"].count("\n") == 11


def test_by_likelihood_nothing_is_asked_again_unless_it_is_wanted() -> None:
    likelihood = {"question": "{example}?", "answer_begins": "It is", "targets": ["mathematics"]}

    assert config_of({"likelihood": likelihood}).again.documents == 0
