"""The Python door: a script of the original tutorial, with only its imports changed."""

import shutil
from pathlib import Path

import orjson
import pytest

from datashop_assets.core.build import make_step
from datashop_assets.core.checks import CHECKS
from datashop_assets.core.step import Resources
from datashop_assets.data_card import page
from datashop_assets.data_card.build import FACTS
from datashop_assets.data_card.facts import within_sources
from datashop_assets.datasets import datashop_dclm_annotation_subset, datashop_dclm_pretraining_subset
from datashop_assets.encoder.results import REPORT, encoder_report
from datashop_assets.graph import plan
from datashop_assets.prompts.parsing import PromptError
from datashop_assets.prompts.store import PromptStore
from datashop_assets.protocols.processor import Parsed
from datashop_assets.runner import DatashopRunner, DatashopRunnerConfig
from datashop_assets.storage.root import Root
from datashop_assets_tests.graph.conftest import EMPTY, SLUG, Made
from datashop_assets_tests.small import experiment

RUBRIC = "Score this from 0 to 5: {example}\nConclude with the score using the format: Final score: <total points>."


def tutorial(**changes: object) -> DatashopRunnerConfig:
    settings: dict[str, object] = {
        "experiment_name": "finemath-replication",
        "annotator_model_name": "Llama-3.3-70B-Instruct",
        "pretraining_data_path": datashop_dclm_pretraining_subset,
        "annotator_data_path": datashop_dclm_annotation_subset,
        "data_filter_prompt": RUBRIC,
        "dataset_output_processor_config_kwargs": {"processor_type": "finalscore0-5"},
    }
    return DatashopRunnerConfig(**{**settings, **changes})  # type: ignore[arg-type]


def test_an_experiment_becomes_a_prompt_that_every_door_sees(tmp_path: Path) -> None:
    root = Root(str(tmp_path / "root"))
    (tmp_path / "prompts").mkdir()
    runner = DatashopRunner(tutorial(), root, prompts=tmp_path / "prompts")
    seen = PromptStore(tmp_path / "prompts", root).load("finemath-replication")
    assert seen == runner.prompt
    assert seen.rubric == RUBRIC
    assert seen.annotator.model == "Llama-3.3-70B-Instruct"
    assert seen.annotator.scoring == "generate"
    assert seen.pretraining_pool.uri == "datashop_dclm_pretraining_subset"
    assert seen.processor.type == "finalscore0-5"
    assert not seen.automatic


class Stars:
    """Reads a reply as a number of stars, of which `best` are the most."""

    def __init__(self, best: int) -> None:
        self.answers = [str(stars) for stars in range(best + 1)]

    def parse(self, reply: str) -> Parsed:
        found = reply.strip()
        return Parsed(5 * int(found) / (len(self.answers) - 1)) if found in self.answers else Parsed(None, "no stars")


def test_a_processor_is_a_name_or_an_import_path_with_its_options() -> None:
    options = {"processor_type": f"{__name__}:Stars", "best": 7}
    prompt = tutorial(dataset_output_processor_config_kwargs=options).prompt()
    assert prompt.processor.type == f"{__name__}:Stars"
    assert prompt.processor.options == {"best": 7}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"experiment_name": "Fine Math"}, "a slug is"),
        ({"data_filter_prompt": "no place for a document"}, "exactly once"),
        ({"dataset_output_processor_config_kwargs": {"processor_type": "stars"}}, "unknown processor"),
        ({"settings": {"keep": {"fraction": 2}}}, "keep.fraction"),
    ],
)
def test_a_bad_experiment_is_refused_with_the_fix(changes: dict[str, object], told: str) -> None:
    with pytest.raises(PromptError, match=told):
        tutorial(**changes).prompt()


def test_an_annotator_that_is_not_here_is_named(made: Made, tmp_path: Path) -> None:
    there = {"pretraining_data_path": made.pool, "annotator_data_path": made.pool}
    runner = DatashopRunner(tutorial(**there), made.root, prompts=tmp_path)
    with pytest.raises(ValueError, match=r"Llama-3.3-70B-Instruct.*the embedded annotator has"):
        runner.run_eval_cluster_steps()


def test_steps_are_made_in_the_order_of_the_graph_and_an_unknown_one_is_named(made: Made, tools: Resources) -> None:
    runner = DatashopRunner(experiment(SLUG, made.pool), made.root, tools, made.prompts)
    assert list(runner.run("filtered_pool", "keep_certificate", "encoder")) == ["encoder", "filtered_pool"]
    with pytest.raises(ValueError, match="unknown step 'encoders'; the steps are pretraining_pool"):
        runner.run("pretraining_pool", "encoders")


@pytest.mark.parametrize(("stage", "audit"), [("pool_scores", "unscored"), ("filtered_pool", "miskept")])
def test_documents_are_counted_again_before_a_run_goes_on(
    made: Made, tools: Resources, monkeypatch: pytest.MonkeyPatch, stage: str, audit: str
) -> None:
    runner = DatashopRunner(experiment(SLUG, made.pool), made.root, tools, made.prompts)
    assert runner.run(stage)[stage].reused
    verdicts = made.root.prompt(SLUG).child(CHECKS)
    verdicts.remove(stage)  # else the one that stands there is believed
    monkeypatch.setattr(f"datashop_assets.filtered_pool.checks.{audit}", lambda *_: ["part-0 has 2 documents too many"])
    with pytest.raises(ValueError, match=rf"(?s){stage} of .* stops the run: \w+: part-0 has 2 documents too many"):
        runner.run(stage)
    verdicts.remove(stage)


def test_the_card_shows_checks_that_failed_and_what_is_waived_for_which_reason(
    made: Made, tools: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = experiment(SLUG, made.pool, gates={"waive": {"keep_count_exact": "a <b>trial</b>"}}).prompt()
    before, planned = made.plan(), plan(prompt, made.root, tools.annotator)
    assert {name: one.digest for name, one in planned.items()} == {name: one.digest for name, one in before.items()}
    verdicts, card = made.root.prompt(SLUG).child(CHECKS), Path(planned["data_card"].folder.uri)
    verdicts.remove("filtered_pool")
    monkeypatch.setattr("datashop_assets.filtered_pool.checks.miskept", lambda *_: ["part-0 has 2 documents too many"])
    shutil.rmtree(card)
    made_again = make_step("data_card", planned, tools).output
    html, text = (made_again.file(name).read_text() for name in ("card.html", "card.md"))
    first_screen = html[: html.index('id="rubric"')]
    said = "<strong>keep_count_exact</strong> failed: part-0 has 2 documents too many"
    assert said in first_screen
    assert "the prompt waives it: a &lt;b&gt;trial&lt;/b&gt;" in first_screen
    assert "Check `keep_count_exact` of `filtered_pool` failed: part-0 has 2 documents too many" in text
    assert made_again.manifest.content_digest == before["data_card"].output.manifest.content_digest
    verdicts.remove("filtered_pool")
    monkeypatch.undo()
    shutil.rmtree(card)
    now = make_step("data_card", plan(experiment(SLUG, made.pool).prompt(), made.root, tools.annotator), tools).output
    assert "the prompt waives it" not in now.file("card.html").read_text()


def test_the_cards_first_screen_has_the_encoders_figure_within_sources(made: Made) -> None:
    output = made.plan()["data_card"].output
    first_screen = output.file("card.html").read_text().partition('id="rubric"')[0]
    within = within_sources(encoder_report(made.plan()["encoder"].output))
    assert within
    assert f"within sources {within[0].auc:.3f} ({within[0].source})" in first_screen


def test_the_cards_facts_hold_the_encoders_report_as_it_was_written(made: Made) -> None:
    facts = orjson.loads(made.plan()["data_card"].output.file(FACTS).read_bytes())
    assert facts["encoder"] == orjson.loads(made.plan()["encoder"].output.file(REPORT).read_bytes())


def test_the_card_says_what_of_the_files_is_not_among_the_documents(made: Made) -> None:
    card = made.plan()["data_card"].output.file("card.html").read_text()
    assert card.count(f"files passed over: 1 without a row ({EMPTY})") == 2  # of the pool, and of the sample's source


def test_the_card_has_the_share_of_the_blind_test_with_its_interval_and_abstentions(made: Made) -> None:
    tested, output = made.plan()["blind_test"].output.result, made.plan()["data_card"].output
    html, text = (output.file(name).read_text() for name in ("card.html", "card.md"))
    first_screen = html.partition('id="rubric"')[0]
    assert tested.pairs == 4 == tested.right + tested.wrong + tested.abstentions
    assert tested.share_right is not None
    assert f"blind test of what is kept<b>{tested.share_right.value:.3f}</b>" in first_screen
    assert f"{tested.share_right.low:.3f} to {tested.share_right.high:.3f}" in first_screen
    assert f"{tested.abstentions} abstentions of 4 pairs" in first_screen
    assert tested.sentence()[1:] in html.partition('id="kept"')[2]
    shown = f"{tested.share_right.value:.3f} ({tested.share_right.low:.3f} to {tested.share_right.high:.3f})"
    assert f"| {shown} of {tested.right + tested.wrong}; {tested.abstentions} abstentions |" in text


def test_a_card_says_of_a_rubric_what_has_not_been_shown(made: Made) -> None:
    facts = orjson.loads(made.plan()["data_card"].output.file("card.json").read_bytes())
    assert page.RUBRIC_EVIDENCE not in page.hub(facts, [], [])
    facts["prompt"]["annotator"]["scoring"] = "score_token"
    assert page.RUBRIC_EVIDENCE in page.hub(facts, [], [])


def test_the_cards_verdict_stands_beside_the_number_of_documents_and_its_reservations(made: Made) -> None:
    evaluation = made.plan()["evaluation"].output.result
    output = made.plan()["data_card"].output
    html, text = (output.file(name).read_text() for name in ("card.html", "card.md"))
    first_screen = html.partition('id="rubric"')[0]
    documents = evaluation.primary.documents
    assert documents < 100
    assert f"bits per byte on {documents} held-out target documents" in first_screen
    assert f"<strong>Judged on {documents} documents, which are few.</strong>" in first_screen
    assert f"; judged on {documents} documents, which are few" in text
