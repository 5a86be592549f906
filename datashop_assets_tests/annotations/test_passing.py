"""The gates as the Python door passes them, on annotations that were really made."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from datashop_assets.annotations.describe import describe
from datashop_assets.annotations.passing import documents_of, judged_gate, pass_gates
from datashop_assets.prompts.annotator_settings import AnnotatorSettings, Gates
from datashop_assets.protocols.annotator import AnnotationRequest, Answer, Question
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets_tests.annotations.annotators import WordCounter
from datashop_assets_tests.annotations.conftest import WRITTEN, annotate

Inputs = Mapping[str, StageFolder]


def settings(**gates: Any) -> AnnotatorSettings:
    return AnnotatorSettings(scoring="generate", gates=Gates(**gates))


def test_answers_that_are_not_fit_stop_with_the_gate_the_figure_and_documents(tmp_path: Path, inputs: Inputs) -> None:
    made = annotate(tmp_path, "annotations", WRITTEN, inputs, WordCounter(fails_on=("1",)))
    with pytest.raises(ValueError, match=r"coverage: \d+ of 100 asked documents have a score .*look at doc-1"):
        pass_gates(settings(), made)
    warnings = pass_gates(settings(blocking=()), made)

    assert [warning.partition(":")[0] for warning in warnings] == ["coverage"]


def test_what_a_failed_gate_shows_is_read_whole_and_only_that(tmp_path: Path, inputs: Inputs) -> None:
    made = annotate(tmp_path, "annotations", WRITTEN, inputs, WordCounter(fails_on=("1",)))
    judged, stops = judged_gate("coverage", settings(), made)
    shown = list(documents_of(judged, made))

    assert stops
    assert "text" not in judged.look_at.columns
    assert {row["reason"] for row in shown} == {"broken | text"}
    assert len(shown) == 5


def test_answers_of_servers_that_differ_are_told(tmp_path: Path, inputs: Inputs) -> None:
    class Served(WordCounter):
        def _answer(self, one: AnnotationRequest, question: Question) -> Answer:
            answer = super()._answer(one, question)
            return Answer(**{**_fields(answer), "endpoint": f"http://a/v1 build-{len(self.requests) % 2}"})

    made = annotate(tmp_path, "annotations", WRITTEN, inputs, Served())
    alike = annotate(tmp_path / "alike", "annotations", WRITTEN, inputs, WordCounter())

    assert "servers that differ** (build-0, build-1)" in describe(made)["how documents ended"]
    assert any("annotator.revision" in warning for warning in pass_gates(settings(), made))
    assert not pass_gates(settings(), alike)


def _fields(answer: Answer) -> dict[str, Any]:
    return {name: getattr(answer, name) for name in Answer.__slots__}
