"""Damaged and blocked stages: in `datashop status`, as table and JSON, and in the list of data cards."""

import html
import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner

from datashop_assets.asking.spending import BudgetReachedError
from datashop_assets.cards import Runs, serve_cards
from datashop_assets.cli import main
from datashop_assets.commands.run import stages_until
from datashop_assets.core.build import make_step
from datashop_assets.core.step import Resources
from datashop_assets.graph import GRAPH
from datashop_assets.orchestration.assets import PROMPTS
from datashop_assets.orchestration.runs import last_runs
from datashop_assets.results import open_stage
from datashop_assets.storage.stage_folder import DamagedStageError
from datashop_assets_tests.annotations.annotators import WordCounter
from datashop_assets_tests.orchestration.workshop import Workshop

SMALL = {"sample": 40, "documents": 20, "second_round": {"documents": 0}}
GATE = "annotations: coverage: 0 of 20 asked documents have a score (0.0%, at least 95%)"
FIX = (
    "correct what the gate names, or its threshold in the prompt file, or waive it there with a reason "
    "(`gates.waive`), and run the prompt again"
)
SECOND_RATE = ("control_lm_second_rate", "matched_lm_second_rate", "trained_lm_second_rate", "sensitivity")
NOT_REQUESTED = ("pool_embeddings", "keep_certificate", *SECOND_RATE)
AFTER = GRAPH.names[GRAPH.names.index("annotations") + 1 :]
HELD_BACK = [name for name in AFTER if name not in NOT_REQUESTED]  # also what is not downstream, as it is not there yet


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    made = Workshop(tmp_path)
    made.write("numbers")
    return made


def truncated(manifest: bytes) -> bytes:
    return manifest[: len(manifest) // 2]


def with_one_field_more(manifest: bytes) -> bytes:
    return json.dumps({**json.loads(manifest), "colour": "blue"}).encode()


@pytest.fixture(params=[truncated, with_one_field_more], ids=lambda damage: damage.__name__)
def damaged(workshop: Workshop, request: pytest.FixtureRequest) -> Workshop:
    """Everything is made, and the encoder's manifest cannot be read."""
    damage: Callable[[bytes], bytes] = request.param
    workshop.finish("numbers")
    folder = workshop.plan("numbers")["encoder"].folder
    folder.write("manifest.json", damage(folder.read("manifest.json")))
    return workshop


@pytest.fixture
def blocked(workshop: Workshop) -> Workshop:
    """Every call was refused, which the gate `coverage` has found."""
    workshop.write("numbers", annotator={"scoring": "generate", **SMALL})
    resources = Resources(annotator=WordCounter(says={"Text": "no"}))
    for name in GRAPH.up_to("annotations"):
        make_step(name, workshop.plan("numbers"), resources)
    return workshop


def status(workshop: Workshop) -> dict[str, dict[str, Any]]:
    done = CliRunner().invoke(main, ["status", "--json"], env=workshop.environment)
    assert done.exit_code == 0, done.output
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)["prompts"]["numbers"]
    return found


def table(workshop: Workshop) -> str:
    return CliRunner().invoke(main, ["status"], env={**workshop.environment, "COLUMNS": "500"}).output


def cards(workshop: Workshop, runs: Runs = lambda _: {}) -> str:
    with (
        serve_cards(workshop.deployment, 0, "http://127.0.0.1:3000", runs) as port,
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer,
    ):
        return html.unescape(answer.read().decode())


def test_a_damaged_stage_is_shown_with_its_folder_and_fix(damaged: Workshop) -> None:
    folder = damaged.plan("numbers")["encoder"].folder.uri
    encoder = status(damaged)["encoder"]
    assert encoder["state"] == "damaged"
    assert encoder["reason"].startswith(f"{folder}/manifest.json cannot be read: ")
    assert encoder["fix"] == f"run the prompt: it moves {folder} to damaged/ of the root and makes the stage again"
    for shown in (table(damaged), cards(damaged)):
        assert f"numbers: encoder: damaged: {encoder['reason']}" in shown
        assert f"Fix: {encoder['fix']}" in shown
    stages = len(damaged.plan("numbers"))
    assert f"{stages - 1} of {stages}" in cards(damaged)


def test_a_stage_that_its_budget_stopped_is_shown_with_what_was_spent_and_the_fix(workshop: Workshop) -> None:
    asked = {"scoring": "generate", **SMALL, "budget": {"tokens": 450}}
    workshop.write("numbers", annotator=asked)
    for name in ("pretraining_pool", "annotation_sample", "rubric"):
        make_step(name, workshop.plan("numbers"), Resources())
    with pytest.raises(BudgetReachedError):
        make_step("annotations", workshop.plan("numbers"), Resources(annotator=WordCounter()))
    found = status(workshop)["annotations"]
    assert found["state"] == "missing"
    assert found["reason"].startswith("annotator.budget is reached (tokens: ")
    assert "documents are not asked" in found["reason"]
    assert found["fix"].startswith("All answers are kept: raise the budget and run again")
    shown = table(workshop)
    assert f"numbers: annotations: missing: {found['reason']}" in shown
    assert f"Fix: {found['fix']}" in shown

    workshop.write("numbers", annotator={**asked, "budget": {"tokens": 100_000}})
    make_step("annotations", workshop.plan("numbers"), Resources(annotator=WordCounter()))
    assert "annotator.budget" not in table(workshop)
    workshop.write("numbers", annotator={**asked, "documents": 21})  # another one, which nothing has stopped
    assert (status(workshop)["annotations"]["state"], status(workshop)["annotations"]["fix"]) == ("stale", "")


def test_nothing_is_made_from_a_damaged_stage_and_a_run_makes_it_again_first(damaged: Workshop) -> None:
    with pytest.raises(DamagedStageError, match=r"cannot be read: .*; run the prompt: it moves .*encoder"):
        make_step("pool_scores", damaged.plan("numbers"), Resources())
    assert "encoder" in damaged.to_do("numbers")


def test_a_damaged_stage_hides_no_other_prompt(damaged: Workshop) -> None:
    damaged.write("whole")
    found = json.loads(CliRunner().invoke(main, ["status", "--json"], env=damaged.environment).stdout)
    assert (sorted(found["prompts"]), found["problems"]) == (["numbers", "whole"], {})


def test_blocked_stages_are_shown_with_the_gate_and_the_fix_once(blocked: Workshop) -> None:
    found = status(blocked)
    assert [name for name, stage in found.items() if stage["state"] == "blocked"] == HELD_BACK
    ((reason, fix),) = {(stage["reason"], stage["fix"]) for stage in found.values() if stage["fix"]}
    assert (reason.startswith(GATE), fix) == (True, FIX)
    for shown in (table(blocked), cards(blocked)):
        assert shown.count(f"numbers: {', '.join(HELD_BACK)}: blocked: {reason}") == 1
        assert shown.count(FIX) == 1


def test_every_entry_point_knows_the_revision_of_the_annotator_at_hand(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = {"answered_by": {"model": "smollm2-135m-instruct", "revision": "an older one", "pinned": False}}
    workshop.finish("numbers", "pretraining_pool", "annotation_sample", "rubric")
    workshop.put("numbers", "annotations", answered)
    reason = "the annotator's revision changed"
    assert (status(workshop)["annotations"]["state"], status(workshop)["annotations"]["reason"]) == ("stale", reason)
    for name, value in workshop.environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=f"annotations of 'numbers' is stale: {reason}"):
        open_stage("numbers", "annotations")
    monkeypatch.setenv("DATASHOP_ANNOTATOR", "endpoints")  # which do not say what they serve
    assert open_stage("numbers", "annotations").metrics == answered


def test_the_list_of_prompts_says_what_is_stale_and_what_the_last_run_does(workshop: Workshop) -> None:
    workshop.write("numbers", keep={"fraction": 0.1})
    workshop.finish("numbers")
    workshop.write("numbers", keep={"fraction": 0.2})
    stages = len(workshop.plan("numbers"))
    with dg.DagsterInstance.ephemeral() as instance:
        job = dg.GraphDefinition("job", node_defs=[]).to_job()
        run = instance.create_run_for_job(job, tags=dict(PROMPTS.get_tags_for_partition_key("numbers")))

        def page() -> str:
            return cards(workshop, lambda slugs: last_runs(instance, slugs))

        assert f"<td>{stages - 6} of {stages}, 6 stale, queued<td>" in page()
        instance.report_run_failed(run)
        assert f"<td>{stages - 6} of {stages}, 6 stale, failed at 20" in page()


def test_a_gate_that_is_not_among_those_that_block_blocks_nothing(blocked: Workshop) -> None:
    blocked.write("numbers", annotator={"scoring": "generate", **SMALL, "gates": {"blocking": []}})
    assert "blocked" not in {stage["state"] for stage in status(blocked).values()}


def test_a_gate_that_the_prompt_waives_blocks_nothing_and_is_shown_with_its_reason(blocked: Workshop) -> None:
    before = status(blocked)
    reasons = dict.fromkeys(("coverage", "both_ends_used", "longest_decile_kept"), "replies are read by hand")
    blocked.write("numbers", annotator={"scoring": "generate", **SMALL}, gates={"waive": reasons})
    found = status(blocked)
    assert "blocked" not in {stage["state"] for stage in found.values()}
    assert {name: stage["digest"] for name, stage in found.items()} == {
        name: stage["digest"] for name, stage in before.items()
    }
    assert found["annotations"]["checks"]["coverage"]["waived"] == "replies are read by hand"
    said = "0 of 20 asked documents have a score (0.0%, at least 95%)"
    assert f"annotations: check coverage: {said}\n  Waived: replies are read by hand" in table(blocked)
    shown = f"numbers: annotations: gate coverage is waived: {said}. Reason: replies are read by hand"
    assert shown in cards(blocked)


def test_a_blocked_prompt_shows_replies_that_made_the_gate_fail(blocked: Workshop) -> None:
    shown = [line.strip() for line in table(blocked).splitlines() if "status refused" in line]
    assert 5 <= len(shown) == len(set(shown)) <= 7, "of coverage, and of the longest tenth, each once"
    assert all("reply no" in line for line in shown)


def test_until_a_stage_only_what_that_is_made_from_for_this_prompt_is_made(workshop: Workshop) -> None:
    workshop.write("tokens", keep={"fraction": 0.1, "of": "tokens"})
    by_documents, by_tokens = (stages_until(workshop.plan(slug), "filtered_pool") for slug in ("numbers", "tokens"))
    assert by_documents == [name for name in by_tokens if name not in ("decontamination", "pool_tokens")]
    assert by_documents[-2:] == ["pool_scores", "filtered_pool"]
    assert stages_until(workshop.plan("numbers"), None) == list(workshop.plan("numbers"))
    assert "pool_scores" in stages_until(workshop.plan("numbers"), "keep_certificate")  # which it does not ask for
