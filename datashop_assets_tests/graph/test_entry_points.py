"""Python, the terminal and Dagster make the same stages, and what one made the others find."""

import json
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from datashop_assets.core.step import Resources
from datashop_assets.definitions import definitions
from datashop_assets.graph import GRAPH, plan
from datashop_assets.orchestration.assets import PROMPTS
from datashop_assets.prompts.store import PromptStore
from datashop_assets.runner import DatashopRunner
from datashop_assets.settings import read_settings
from datashop_assets.storage.root import Root
from datashop_assets_tests.graph.conftest import SLUG, STEPS, Made, digests
from datashop_assets_tests.small import SETTINGS, experiment

ANOTHER_READING = {**SETTINGS["annotator"], "read_characters": 300}


def terminal(made: Made, root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "DATASHOP_ROOT": str(root),
        "DATASHOP_PROMPTS": str(made.prompts),
        "DAGSTER_HOME": str(root.parent / "home"),
        "NO_COLOR": "1",
    }
    command = [str(Path(sys.executable).with_name("datashop")), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_terminal_makes_what_python_makes(made: Made, tmp_path: Path) -> None:
    done = terminal(made, tmp_path / "root", "run", SLUG)
    assert done.returncode == 0, done.stderr
    assert "candidate minus control" in done.stdout
    root = Root(str(tmp_path / "root"))
    assert digests(plan(PromptStore(made.prompts, root).load(SLUG), root)) == digests(made.plan())
    again = terminal(made, tmp_path / "root", "run", SLUG)
    assert "Nothing to do" in again.stdout
    shown = json.loads(terminal(made, tmp_path / "root", "status", "--json").stdout)
    assert {stage["state"] for stage in shown["prompts"][SLUG].values()} == {"current"}
    assert list(shown["prompts"][SLUG]) == STEPS


def test_dagster_makes_what_python_makes(made: Made, tools: Resources, tmp_path: Path) -> None:
    store = PromptStore(made.prompts, Root(str(tmp_path / "root")))
    with dg.instance_for_test() as instance:
        instance.add_dynamic_partitions(PROMPTS.name or "", [SLUG])
        defs = definitions(read_settings())
        resources = {**(defs.resources or {}), "storage": store, "annotator": tools.annotator}
        assert dg.materialize(
            list(defs.assets or ()), instance=instance, partition_key=SLUG, resources=resources
        ).success
    assert digests(plan(store.load(SLUG), store.root)) == digests(made.plan())


def test_a_finished_stage_is_reused(made: Made) -> None:
    outcomes = DatashopRunner(experiment(SLUG, made.pool), made.root, prompts=made.prompts).run_all_steps()
    assert list(outcomes) == STEPS
    assert all(outcome.reused for outcome in outcomes.values())


def test_the_eval_cluster_steps_end_with_the_encoder(made: Made) -> None:
    outcomes = DatashopRunner(experiment(SLUG, made.pool), made.root, prompts=made.prompts).run_eval_cluster_steps()
    assert list(outcomes)[-1] == "encoder"
    assert "filtered_pool" not in outcomes


def test_an_encoder_of_another_prompt_ranks_the_sample(made: Made, tools: Resources) -> None:
    encoder = made.plan()["encoder"].digest
    annotator = {"cascade": {"encoder": encoder}, "documents": 28, "second_round": {"documents": 12, "strata": 3}}
    ranked = DatashopRunner(
        experiment("ranked", made.pool, annotator={**SETTINGS["annotator"], **annotator}),
        made.root,
        tools,
        made.prompts,
    )
    annotations = ranked.run(*GRAPH.up_to("annotations"))["annotations"].output
    means = dict(annotations.table().group_by("round").agg(pl.col("expected_score").mean()).iter_rows())

    assert annotations.result.pilot == "strata of the first pass's score"
    assert annotations.result.asked_now <= 12  # the first round's answers are those of the other prompt
    assert means[2] > means[1]  # drawn where the encoder ranks high
    assert sum(1 / row["probability"] for row in annotations.all_rows()) == pytest.approx(300)


@pytest.mark.parametrize(
    ("changes", "redone"),
    [
        (
            {"keep": {"fraction": 0.3}},
            ["filtered_pool", "blind_test", "matched_lm", "trained_lm", "evaluation", "data_card"],
        ),
        ({"encoder": {"read_characters": 200}}, STEPS[STEPS.index("encoder") :]),
        ({"rubric": "Another question about {example}."}, ["rubric", "data_card"]),  # no likelihood question shows it
        ({"annotator": ANOTHER_READING}, STEPS[STEPS.index("annotations") :]),
    ],
)
def test_an_edit_redoes_what_follows_and_nothing_else(
    made: Made, changes: dict[str, object], redone: list[str]
) -> None:
    before = made.plan()
    after = plan(experiment(SLUG, made.pool, **changes).prompt(), made.root)
    shared = {"pool_tokens", "decontamination", "control_lm"}  # they do not depend on a prompt
    expected = [
        name
        for name in redone
        if name not in shared and not (name == "evaluation_targets" and "annotator" not in changes)
    ]
    assert [name for name in STEPS if after[name].digest != before[name].digest] == expected
    assert {after[name].state.value for name in expected} == {"stale"}
