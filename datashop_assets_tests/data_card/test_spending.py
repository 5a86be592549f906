"""What a stage took stands beside what had been estimated, and only where it had been."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from datashop_assets.data_card.facts import spending, stage_facts
from datashop_assets.data_card.results import CardRun
from datashop_assets.encoder.results import GoldResult
from datashop_assets.trained_lm.results import ControlLMResult, TrainedModels
from datashop_assets_tests.data_card.cards import annotations_result, card_run, finished, run_of
from datashop_assets_tests.encoder.made import CASCADE, GOOD, encoder_result
from datashop_assets_tests.stages import writer

HOURS = {"value": 2.0, "low": 1.0, "high": 3.0}
LINE = {"hours": HOURS, "tokens": None, "money": HOURS, "price_per_hour": 7200.0, "hardware": "cpu", "from": "prices"}
PILOT = {"documents": 0, "asked_now": 0, "tokens_per_second": None, "pace": ""}


def with_estimate(place: Path, **lines: Any) -> CardRun:
    """A card of a prompt with an estimate of these stages."""
    run = card_run(place)
    run.prompt_folder.write("estimate.json", orjson.dumps({"currency": "EUR", "pilot": PILOT, "stages": lines}))
    return run


def test_without_an_estimate_there_is_what_was_spent(tmp_path: Path) -> None:
    found = spending(card_run(tmp_path))
    assert found["currency"] is None
    assert found["stages"]["encoder"]["seconds"] == pytest.approx(0, abs=60)
    assert found["stages"]["encoder"]["estimated"] is None


def test_an_estimate_stands_beside_what_was_spent(tmp_path: Path) -> None:
    made = with_estimate(tmp_path, annotations={**LINE, "state": "missing"}, encoder={**LINE, "state": "current"})
    result = annotations_result(tokens_in=7, tokens_out=2, seconds_asking=9.0)
    asked = finished(writer(tmp_path, "asked"), result)
    found = spending(replace(made, inputs={**made.inputs, "annotations": asked}))
    annotations = found["stages"]["annotations"]
    assert (found["currency"], annotations["tokens"], annotations["seconds"]) == ("EUR", 9, 9.0)
    assert annotations["money"] == pytest.approx(18)
    assert annotations["estimated"] == {"hours": HOURS, "tokens": None, "money": HOURS}
    assert found["stages"]["encoder"]["estimated"] is None  # it was there when the estimate was made


def test_tokens_of_language_models_are_those_of_all_seeds(tmp_path: Path) -> None:
    models = TrainedModels(seeds=3, length=8, parameters=7, tokens=100, training_flops=1, final_loss=[1.0, 2.0, 3.0])
    result = ControlLMResult(models=models, training_seconds=2.0, tokens_per_second=9)
    control = finished(writer(tmp_path, "lm"), result)
    assert spending(run_of(tmp_path, control))["stages"]["control_lm"]["tokens"] == 300


def test_how_many_answers_a_run_had_to_ask_for_is_a_cost_and_no_fact_of_the_card(tmp_path: Path) -> None:
    facts = stage_facts(finished(writer(tmp_path, "asked"), annotations_result(asked=5, asked_now=3)))["metrics"]
    assert facts["asked"] == 5
    assert "asked_now" not in facts


def test_a_figure_of_quality_is_on_the_card_whatever_words_are_in_its_name(tmp_path: Path) -> None:
    within = {"costumes in memory": GOOD}
    gold = GoldResult(
        documents=9, positives=5, auc=GOOD, precision_at_share=GOOD, baseline_auc={}, auc_within=within,
        annotator_auc=None, annotator_precision_at_share=None,
    )  # fmt: skip
    result = encoder_result(gold=gold, cascade=CASCADE)
    encoder = finished(writer(tmp_path, "measured"), result)
    facts = stage_facts(encoder)["metrics"]
    assert facts == result.model_dump(mode="json")
    assert facts["cascade"]["auc_cost"]["value"] == GOOD.value
    assert facts["gold"]["auc_within"]["costumes in memory"]["value"] == GOOD.value
    assert spending(run_of(tmp_path, encoder))["stages"]["encoder"]["metrics"] == {}


def test_times_that_a_stage_declares_are_costs_and_no_facts(tmp_path: Path) -> None:
    models = TrainedModels(seeds=1, length=8, parameters=7, tokens=100, training_flops=1, final_loss=[1.0])
    result = ControlLMResult(models=models, training_seconds=2.0, tokens_per_second=9)
    control = finished(writer(tmp_path, "lm"), result)
    assert stage_facts(control)["metrics"] == {"models": models.model_dump()}
    spent = spending(run_of(tmp_path, control))["stages"]["control_lm"]["metrics"]
    assert spent == {"tokens_per_second": 9, "training_seconds": 2.0}
