"""What a stage took stands beside what had been estimated, and only where it had been."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from datashop_assets.core.step import OpenRun
from datashop_assets.data_card.facts import stage_facts
from datashop_assets.data_card.spending import is_volatile, spending
from datashop_assets.encoder.results import GoldResult
from datashop_assets.storage.root import Root
from datashop_assets.trained_lm.results import TrainedModels
from datashop_assets_tests.data_card.cards import card_run
from datashop_assets_tests.encoder.made import CASCADE, GOOD, encoder_result
from datashop_assets_tests.stages import finish, writer

HOURS = {"value": 2.0, "low": 1.0, "high": 3.0}
LINE = {"hours": HOURS, "tokens": None, "money": HOURS, "price_per_hour": 7200.0}


def under_a_root(place: Path, **lines: Any) -> OpenRun:
    """A card under a root with an estimate of these stages."""
    root = Root(str(place / "root"))
    root.prompt("tides").write("estimate.json", orjson.dumps({"currency": "EUR", "stages": lines}))
    return replace(card_run(place), output=writer(place / "root" / "stages" / "data_card", "digest"))


def test_without_an_estimate_there_is_what_was_spent(tmp_path: Path) -> None:
    found = spending(card_run(tmp_path))
    assert found["currency"] is None
    assert found["stages"]["encoder"]["seconds"] == pytest.approx(0, abs=60)
    assert found["stages"]["encoder"]["estimated"] is None


def test_an_estimate_stands_beside_what_was_spent(tmp_path: Path) -> None:
    made = under_a_root(tmp_path, encoder={**LINE, "state": "missing"}, annotations={**LINE, "state": "current"})
    asked = finish(writer(tmp_path, "asked"), "encoder", {"tokens_in": 7, "tokens_out": 2, "seconds_asking": 9.0}, {})
    found = spending(replace(made, inputs={**made.inputs, "encoder": asked}))
    encoder = found["stages"]["encoder"]
    assert (found["currency"], encoder["tokens"], encoder["seconds"]) == ("EUR", 9, 9.0)
    assert encoder["money"] == pytest.approx(18)
    assert encoder["estimated"]["hours"] == HOURS
    assert found["stages"]["annotations"]["estimated"] is None  # it was there when the estimate was made


def test_tokens_of_language_models_are_those_of_all_seeds(tmp_path: Path) -> None:
    made = card_run(tmp_path)
    models = TrainedModels(seeds=3, length=8, parameters=7, tokens=100, training_flops=1, final_loss=[1.0, 2.0, 3.0])
    trained = finish(writer(tmp_path, "lm"), "trained_lm", {"models": models.model_dump()}, {})
    assert spending(replace(made, inputs={"trained_lm": trained}))["stages"]["trained_lm"]["tokens"] == 300


def test_how_many_answers_a_run_had_to_ask_for_is_a_cost_and_no_fact_of_the_card() -> None:
    assert is_volatile("annotations", "asked_now")
    assert not is_volatile("annotations", "asked")


def test_a_figure_of_quality_is_on_the_card_whatever_words_are_in_its_name(tmp_path: Path) -> None:
    within = {"costumes in memory": GOOD}
    gold = GoldResult(
        documents=9, positives=5, auc=GOOD, precision_at_share=GOOD, baseline_auc={}, auc_within=within,
        annotator_auc=None, annotator_precision_at_share=None,
    )  # fmt: skip
    made, result = card_run(tmp_path), encoder_result(gold=gold, cascade=CASCADE).model_dump(mode="json")
    encoder = finish(writer(tmp_path, "measured"), "encoder", result, {})
    facts = stage_facts(encoder)["metrics"]
    assert facts == result
    assert facts["cascade"]["auc_cost"]["value"] == GOOD.value
    assert facts["gold"]["auc_within"]["costumes in memory"]["value"] == GOOD.value
    assert spending(replace(made, inputs={"encoder": encoder}))["stages"]["encoder"]["metrics"] == {}


def test_times_that_a_stage_declares_are_costs_and_no_facts(tmp_path: Path) -> None:
    made, metrics = card_run(tmp_path), {"tokens_per_second": 9, "training_seconds": 2.0, "parameters": 7}
    trained = finish(writer(tmp_path, "lm"), "trained_lm", metrics, {})
    assert stage_facts(trained)["metrics"] == {"parameters": 7}
    spent = spending(replace(made, inputs={"trained_lm": trained}))["stages"]["trained_lm"]["metrics"]
    assert spent == {"tokens_per_second": 9, "training_seconds": 2.0}
