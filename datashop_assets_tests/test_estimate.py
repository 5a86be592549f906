"""What a prompt will cost: piloted on documents that are asked anyway, and from what finished stages took."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from datashop_assets.annotations.results import AnnotationsResult
from datashop_assets.commands.estimate import show
from datashop_assets.core.build import make_step
from datashop_assets.core.step import Resources
from datashop_assets.costs import ASKING_STAGE, Prices, beside_estimate, last_estimate
from datashop_assets.estimate import Pilot, make_estimate, measured_pilot, needed, stated_pilot
from datashop_assets.evaluation.power import STATED_SPREAD
from datashop_assets.graph import GRAPH, plan
from datashop_assets.paces import PoolSize, expected_seconds, work
from datashop_assets.prompts.prompt import Prompt, parse_prompt
from datashop_assets.rubric.wording import DESCRIBE, MERGE
from datashop_assets.statistics.comparison import visible_difference
from datashop_assets.storage.root import Root
from datashop_assets_tests.annotations.annotators import WordCounter
from datashop_assets_tests.data_card.cards import annotations_result, finished
from datashop_assets_tests.stages import writer

TABLE = Prices.model_validate(
    {
        "currency": "EUR",
        "within": 2,
        "hardware": {
            "here": {"price_per_hour": 2.0, "paces": {"evaluation": 0.1, "pool_scores": 50}},
            "big": {"price_per_hour": 20.0, "tokens_per_second": 100.0},
        },
        "stages": {"default": "here", "annotations": "big"},
    }
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Root:
    folder = tmp_path_factory.mktemp("estimate")
    words = [
        f"{place} " + " ".join(f"w{(place * 7919 + number * 104729) % 9973}" for number in range(5 + place % 20))
        for place in range(600)
    ]
    rows = [{"id": str(place), "text": text} for place, text in enumerate(words)]
    (folder / "pool.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows)))
    root = Root(str(folder / "root"))
    for name in ("pretraining_pool", "annotation_sample", "rubric"):
        make_step(name, plan(prompt(root), root), Resources(annotator=WordCounter()))
    return root


def estimated(wanted: Prompt, root: Root) -> tuple[Pilot, dict[str, Any]]:
    """A pilot of 50 documents at a stated pace, and the estimate by stage as it is kept."""
    planned = plan(wanted, root)
    pilot = stated_pilot(planned, 50, 100.0)
    return pilot, orjson.loads(make_estimate(planned, pilot, TABLE).model_dump_json())["stages"]


def prompt(root: Root, **annotator: Any) -> Prompt:
    pool = f"{Path(root.uri).parent}/pool.jsonl"
    settings = {"scoring": "generate", "sample": 200, "documents": 100, "second_round": {"documents": 50}, **annotator}
    fields = {"name": "words", "rubric": "{example}", "pretraining_pool": pool, "annotation_sample": pool}
    return parse_prompt({**fields, "annotator": settings}, "words", "words.yaml")


def test_all_that_asks_is_priced_by_the_stage_that_annotates() -> None:
    assert AnnotationsResult.step == ASKING_STAGE
    assert ASKING_STAGE in Prices.read().stages


def test_the_pilots_answers_are_those_that_annotation_needs(root: Root) -> None:
    annotator, idle, later = WordCounter(), WordCounter(), WordCounter(says={" w1": "Final score: 3"})
    planned = plan(prompt(root), root)
    pilot = measured_pilot(planned, Resources(annotator=annotator), 20)
    again = measured_pilot(planned, Resources(annotator=idle), 20)
    make_step("annotations", planned, Resources(annotator=later))

    assert (len(annotator.requests), idle.requests, len(later.requests)) == (20, [], 130)
    assert (pilot.tokens.value, pilot.asked, again.asked) == (13, 20, 0)  # WordCounter reads 9 and writes 4
    assert pilot.tokens_per_second
    assert again.measured == "from stored answers"


def test_tokens_hours_and_money_are_the_pilots_times_the_documents(root: Root) -> None:
    pilot, stages = estimated(prompt(root, model="another"), root)
    line = stages["annotations"]

    assert list(stages) == list(plan(prompt(root), root))
    assert line["tokens"]["value"] == pytest.approx(150 * pilot.tokens.value)
    assert line["hours"]["low"] < line["hours"]["value"] == pytest.approx(line["tokens"]["value"] / 100 / 3600)
    assert line["money"]["high"] == pytest.approx(line["hours"]["high"] * 20)
    assert stages["pretraining_pool"]["hours"]["value"] == 0  # it is there
    assert stages["trained_lm"]["tokens"]["value"] == 200 * 8 * 128 * 5


def test_a_stage_that_was_never_made_takes_what_the_price_table_states(root: Root) -> None:
    _, stages = estimated(prompt(root), root)
    seconds = {
        name: line["hours"] and {end: 3600 * hours for end, hours in line["hours"].items()}
        for name, line in stages.items()
    }

    assert seconds["evaluation"] == pytest.approx({"value": 10, "low": 5, "high": 20})
    assert seconds["pool_scores"]["value"] == pytest.approx(600 / 50)
    assert stages["evaluation"]["from"] == "stated for here, within a factor 2"
    assert seconds["encoder"] is None  # nobody states a pace: nothing is made up
    assert "pool_embeddings" not in stages  # which this prompt does not ask for


def test_all_that_asks_the_annotator_is_counted(root: Root) -> None:
    again = {"again": 30, "second": {"model": "another", "documents": 20}}
    cascade = {"prompt": "Short? {example}", "read_characters": 50, "model": "small"}
    pilot, stages = estimated(prompt(root, report=again, cascade=cascade), root)
    first_pass = stages["annotations"]["tokens"]["value"] - 150 * pilot.tokens.value

    assert stages["annotator_report"]["tokens"]["value"] == pytest.approx(50 * pilot.tokens.value)
    assert stages["annotator_report"]["money"]["value"] == pytest.approx(50 * pilot.tokens.value / 100 / 3600 * 20)
    assert stages["blind_test"]["tokens"]["value"] == pytest.approx(2 * 50 * pilot.tokens.value)
    assert 100 * len("Short? ") / 4 < first_pass < 100 * (len(cascade["prompt"]) + 50 + 4) / 4  # 100 are left to rank


def test_held_out_documents_that_an_annotator_chooses_are_counted(root: Root) -> None:
    """Without documents that the prompt names: as many as are asked for, or as are held out."""
    planned = plan(prompt(root), root)
    pilot, stages = estimated(prompt(root, model="another"), root)
    heldout = planned["pretraining_pool"].output.result.by_split["heldout"].documents
    assert 100 < heldout < 600
    assert stages["evaluation_targets"]["tokens"]["value"] == pytest.approx(heldout * pilot.tokens.value)
    fields = prompt(root).model_dump(mode="json", exclude={"slug"})
    named = parse_prompt({**fields, "evaluation": {"targets": fields["pretraining_pool"]}}, "w", "")
    assert estimated(named, root)[1]["evaluation_targets"]["tokens"] is None


def test_what_has_answers_is_not_asked_again_and_is_said_to_be_saved(root: Root) -> None:
    wanted, annotator = prompt(root, model="reused"), WordCounter()
    planned = plan(wanted, root)
    pilot = measured_pilot(planned, Resources(annotator=annotator), 20)
    stages = make_estimate(planned, pilot, TABLE, annotator=annotator).stages
    annotations = stages["annotations"]
    assert annotations.tokens is not None
    assert annotations.saved_tokens is not None
    assert (annotations.tokens.value, annotations.saved_tokens.value) == (130 * 13, 20 * 13)
    assert "20 of 150 have answers already" in annotations.source
    pool = stages["pretraining_pool"]
    assert pool.saved_hours is not None
    assert pool.saved_hours.value > 0


def test_a_pilot_stays_within_the_budget(root: Root) -> None:
    wanted = prompt(root, model="poor", budget={"tokens": 600})
    annotator = WordCounter()
    pilot = measured_pilot(plan(wanted, root), Resources(annotator=annotator), 50)
    assert pilot.documents == len(annotator.requests) < 50
    assert 13 * len(annotator.requests) <= 600


def test_a_rubric_that_is_to_be_written_is_counted_and_not_written(root: Root) -> None:
    fields = prompt(root).model_dump(mode="json", exclude={"slug", "rubric"})
    fields["annotator"]["score_token"] = {"options": {"Great": 5.0, "Useless": 1.0}}
    wanted = parse_prompt({**fields, "targets": {"one": ["a" * 400, "b" * 400, "c" * 400]}}, "written", "")
    planned = plan(wanted, root)
    assert needed(planned, asks=False) == ["pretraining_pool", "annotation_sample"]
    assert needed(planned, asks=True)[-1] == "rubric"
    stages = make_estimate(planned, stated_pilot(planned, 50, 100.0), TABLE).stages
    tokens = stages["rubric"].tokens
    assert tokens is not None
    described, merged = 3 * (len(DESCRIBE) / 4 + 100 + 300), 2 * (len(MERGE) / 4 + 900)
    assert tokens.value == pytest.approx(described + merged, rel=0.01)


def test_steps_that_read_a_part_of_the_pool_are_measured_by_that_part(root: Root) -> None:
    planned, pool = plan(prompt(root), root), PoolSize(1_000_000, 20_000)
    found = {
        name: work(name, planned[name].config, pool, 1024) for name in ("decontamination", "pool_tokens", "encoder")
    }
    assert found == {"decontamination": 20_000, "pool_tokens": 5 * 200 * 8 * 128, "encoder": 1}


def test_a_stage_takes_what_finished_ones_took_for_as_much_work(root: Root) -> None:
    took = plan(prompt(root), root)["annotation_sample"].output.manifest.seconds
    larger = plan(prompt(root, sample=190), root)["annotation_sample"]
    expected, runs = expected_seconds(larger, root, PoolSize(1200, 0), vocabulary=1024)  # of a pool twice as large

    assert expected is not None
    assert (expected.value, runs) == (pytest.approx(2 * took), 1)
    assert expected_seconds(plan(prompt(root), root)["encoder"], root, PoolSize(800, 0), 1024) == (None, 0)


def test_what_the_comparison_will_be_able_to_see_is_said_before_it_is_trained(
    root: Root, capsys: pytest.CaptureFixture[str]
) -> None:
    fields = prompt(root).model_dump(mode="json", exclude={"slug"})
    trainings: list[tuple[dict[str, int], list[str]]] = [
        ({}, ["plain", "matched"]),
        ({"matched_control": False, "seeds": 5}, ["plain"]),
    ]
    for training, controls in trainings:
        planned = plan(parse_prompt({**fields, "training": training}, "w", ""), root)
        estimate = make_estimate(planned, stated_pilot(planned, 50, 100.0), TABLE)
        assert [one.measure for one in estimate.visible] == [
            f"target documents against the {control} control" for control in controls
        ]
        for one, spread in zip(estimate.visible, STATED_SPREAD.values(), strict=False):
            assert one.difference == pytest.approx(visible_difference(spread, training.get("seeds", 10)))
            assert one.source == "measured at the default settings (docs/training.md)"
        show("w", estimate)
        said = " ".join(capsys.readouterr().out.split())
        figure = f"{estimate.visible[0].difference:.3f} bits per byte (measured at the default settings"
        assert f"Smallest difference found with 80% power, target documents against the plain control: {figure}" in said


def test_the_asset_shows_the_estimate_beside_what_was_spent(root: Root, tmp_path: Path) -> None:
    planned = plan(prompt(root, model="another"), root)
    estimate = make_estimate(planned, stated_pilot(planned, 50, 100.0), TABLE)
    estimate.keep("words", root)
    spent = annotations_result(tokens_in=9000, tokens_out=876, seconds_asking=7200.0)
    output = finished(writer(tmp_path, "annotations"), spent)
    shown = beside_estimate(output, "words", root)

    assert "| hours |" in shown["estimate and spent"]
    assert "| 9,876 |" in shown["estimate and spent"]
    assert "| 2 |" in shown["estimate and spent"]
    assert "| EUR |" in shown["estimate and spent"]
    assert "| 40 |" in shown["estimate and spent"]  # two hours at 20
    assert beside_estimate(output, "other", root) == {}
    kept = last_estimate(root.prompt("words"))
    assert kept is not None
    assert kept.model_dump() == estimate.model_dump()


def test_the_shipped_price_table_can_be_read(tmp_path: Path) -> None:
    assert Prices.read().of("annotations")[1].price_per_hour >= 0
    assert set(Prices.read().hardware["this-machine"].paces) <= {stage.name for stage in GRAPH}
    bad = tmp_path / "prices.yaml"
    bad.write_text("currency: EUR\nhardware: {}\nstages: {default: abacus}\n")
    with pytest.raises(ValueError, match="abacus"):
        Prices.read(bad)
