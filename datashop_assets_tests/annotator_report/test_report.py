"""The report on annotations that a counting annotator made: who is asked again, what is counted, what is shown."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from datashop_assets.annotator_report.build import build
from datashop_assets.annotator_report.describe import describe
from datashop_assets.annotator_report.steps import annotator_report
from datashop_assets.core.step import Resources
from datashop_assets.prompts.prompt import parse_prompt
from datashop_assets.protocols.annotator import AnnotationRequest, Answer, Question
from datashop_assets.storage.digests import unit_hash
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets_tests.annotations.annotators import WordCounter
from datashop_assets_tests.annotations.conftest import WRITTEN, annotate, make_inputs
from datashop_assets_tests.stages import run_build


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
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Mapping[str, StageFolder]]:
    root = tmp_path_factory.mktemp("report")
    inputs = make_inputs(root)
    return root, {**inputs, "annotations": annotate(root, "annotations", WRITTEN, inputs, Moody())}


def config_of(**report: Any) -> Mapping[str, Any]:
    annotator = {"model": "counter", "scoring": "generate", "read_characters": 80, "report": report}
    return annotator_report.configure(
        parse_prompt({"name": "x", "rubric": "{example}", "annotator": annotator}, "x", "x")
    )


def report(made: tuple[Path, Mapping[str, StageFolder]], name: str, annotator: WordCounter, **settings: Any) -> Any:
    root, inputs = made
    folder = run_build(build, name, root, config_of(**settings), inputs, Resources(annotator=annotator))
    return folder, orjson.loads(folder.file("annotator_report.json").read_bytes())


def test_fifty_documents_are_asked_again_with_another_seed(made: tuple[Path, Mapping[str, StageFolder]]) -> None:
    folder, found = report(made, "again", annotator := Moody())
    again = found["self_agreement"]

    assert len(annotator.requests) == again["asked"] == again["documents"] == 50
    assert 0.6 < again["same_score"]["value"] < 1
    assert again["quadratic_kappa"]["low"] < again["quadratic_kappa"]["value"] < 1
    assert found["second_annotator"] is None
    assert folder.metrics["self_spearman"] == again["spearman"]["value"]


def test_a_second_annotator_is_asked_where_one_is_named_and_nothing_twice(
    made: tuple[Path, Mapping[str, StageFolder]],
) -> None:
    settings = {"again": 0, "second": {"model": "other", "documents": 60}}
    _, found = report(made, "second", annotator := Moody(), **settings)
    report(made, "second again", idle := Moody(), **settings)

    assert (len(annotator.requests), idle.requests) == (60, [])
    assert found["second_annotator"]["model"] == "maker/other"
    assert found["second_annotator"]["same_score"]["value"] < 0.8
    assert sum(map(sum, found["second_annotator"]["confusion"])) == 60
    assert found["self_agreement"]["note"].startswith("not asked: again is 0; set annotator.report.again")


def test_every_document_stands_in_one_decile_of_length_and_in_one_source(
    made: tuple[Path, Mapping[str, StageFolder]],
) -> None:
    _, found = report(made, "groups", Moody(), again=0)

    assert [one["documents"] for one in found["by_length"]] == [10] * 10
    assert [one["characters"][0] for one in found["by_length"]] == sorted(
        one["characters"][0] for one in found["by_length"]
    )
    assert sum(one["documents"] for one in found["by_source"]) == found["all"]["documents"] == 100


def test_the_asset_shows_a_picture_and_the_tables(made: tuple[Path, Mapping[str, StageFolder]]) -> None:
    folder, _ = report(made, "shown", Moody(), second={"model": "other"})
    shown = describe(folder)

    assert "](data:image/png;base64,iVBOR" in shown["picture"]
    assert "kappa" in shown["agreement with itself"]
    assert "maker/other" in shown["agreement with a second annotator"]
    assert shown["score by length"].count("\n") == 11


def test_by_likelihood_nothing_is_asked_again_unless_it_is_wanted() -> None:
    likelihood = {"question": "{example}?", "answer_begins": "It is", "targets": ["mathematics"]}
    fields = {"name": "x", "rubric": "{example}", "annotator": {"likelihood": likelihood}}

    assert annotator_report.configure(parse_prompt(fields, "x", "x"))["again"]["documents"] == 0
