"""`evaluation.sensitivity`: steps of its own, in no plan without it, and said wherever the verdict is."""

import shutil
from pathlib import Path

import pytest

from datashop_assets.commands.run import show_results
from datashop_assets.core.plan import State
from datashop_assets.core.status import step_status
from datashop_assets.core.step import Resources
from datashop_assets.graph import plan
from datashop_assets.runner import DatashopRunner
from datashop_assets.storage.root import Root
from datashop_assets.trained_lm.results import CandidateConfig
from datashop_assets_tests.graph.conftest import SECOND_RATE, SLUG, Made
from datashop_assets_tests.small import SETTINGS, experiment

ASKED = {"evaluation": {**SETTINGS["evaluation"], "sensitivity": True}}


def test_asking_for_it_adds_its_steps_and_changes_no_other(made: Made) -> None:
    before = plan(experiment(SLUG, made.pool).prompt(), made.root)
    after = plan(experiment(SLUG, made.pool, **ASKED).prompt(), made.root)
    assert set(after) - set(before) == set(SECOND_RATE)
    assert [name for name in before if before[name].digest != after[name].digest] == ["data_card"]
    off = {"evaluation": {**SETTINGS["evaluation"], "sensitivity": False}}
    same = plan(experiment(SLUG, made.pool, **off).prompt(), made.root)
    assert {name: one.digest for name, one in same.items()} == {name: one.digest for name, one in before.items()}


def test_without_a_matched_control_there_is_none_at_the_second_rate(made: Made) -> None:
    alone = {**ASKED, "training": {**SETTINGS["training"], "matched_control": False}}
    planned = plan(experiment(SLUG, made.pool, **alone).prompt(), made.root)
    assert set(SECOND_RATE) - set(planned) == {"matched_lm_second_rate"}
    assert "matched_lm_second_rate" not in planned["sensitivity"].inputs


def test_card_terminal_and_report_say_where_the_rates_disagree(
    made: Made, tools: Resources, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(made.root.uri, tmp_path / "root")
    runner = DatashopRunner(experiment(SLUG, made.pool, **ASKED), Root(str(tmp_path / "root")), tools, tmp_path)
    planned = runner.plan()
    assert planned.to_do() == [*SECOND_RATE, "data_card"]
    first, second = (
        CandidateConfig.model_validate(planned[name].config.model_dump()).settings
        for name in ("trained_lm", "trained_lm_second_rate")
    )
    assert second == first.at_second_rate()
    assert second.learning_rate == pytest.approx(first.learning_rate / 3, rel=1e-4)
    runner.run_all_steps()

    planned = runner.plan()
    assert {one.state for one in planned.values()} == {State.CURRENT}
    sentence = planned["sensitivity"].output.result.sentence
    assert sentence.startswith(f"At a learning rate of {second.learning_rate:g}, in place of {first.learning_rate:g},")
    card = planned["data_card"].output
    first_screen = card.file("card.html").read_text().partition('id="rubric"')[0]
    assert f"<strong>{sentence}</strong>" in first_screen
    assert f"| at a second learning rate | {sentence} |" in card.file("card.md").read_text()
    assert planned["sensitivity"].output.file("report.md").read_text().startswith(f"**{sentence}**")
    show_results(SLUG, {name: step_status(one) for name, one in planned.items()}, made=SECOND_RATE)
    assert f"Sensitivity {sentence}" in " ".join(capsys.readouterr().out.split())


def test_the_card_says_what_the_seeds_could_see(made: Made) -> None:
    card = made.plan()["data_card"].output
    first_screen = card.file("card.html").read_text().partition('id="rubric"')[0]
    assert "These seeds find a difference with 80% power from " in first_screen
    assert "| smallest difference that these seeds find with 80% power |" in card.file("card.md").read_text()
    assert "At a learning rate of" not in first_screen
