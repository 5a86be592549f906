"""What the demo must reach on the embedded pool. Runs it where `make demo` has not."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from transformers import AutoConfig, AutoTokenizer, LlamaConfig

from datashop_assets.core.plan import PlannedStep
from datashop_assets.encoder.results import EncoderResult
from datashop_assets.evaluation.build import build as evaluate
from datashop_assets.graph import plan
from datashop_assets.prompts.store import PromptStore, default_prompts
from datashop_assets.runner import local_resources
from datashop_assets.storage.root import default_root
from datashop_assets.trained_lm.build import build_candidate, build_matched
from datashop_assets_tests.acceptance.golden_contents import EVERYWHERE, GOLDEN, processor
from datashop_assets_tests.stages import run_build, stage_of_rows

pytestmark = pytest.mark.timeout(900)
Stages = dict[str, dict[str, Any]]


def datashop(*arguments: str) -> str:
    command = [str(Path(sys.executable).with_name("datashop")), *arguments]
    environment = {**os.environ, "NO_COLOR": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def demo() -> Stages:
    datashop("run", "mathematics")
    stages: Stages = json.loads(datashop("status", "--json"))["prompts"]["mathematics"]
    return stages


@pytest.fixture(scope="module")
def planned(demo: Stages) -> dict[str, PlannedStep]:
    root = default_root()
    return plan(PromptStore(default_prompts(), root).load("mathematics"), root)


def test_a_second_run_has_nothing_to_do(demo: Stages) -> None:
    assert "Nothing to do" in datashop("run", "mathematics")
    assert {stage["state"] for stage in demo.values()} == {"current"}


def test_contents_are_those_that_were_recorded(demo: Stages) -> None:
    golden = json.loads(GOLDEN.read_text())
    same_machine = golden["processor"] == processor()
    now = {name: stage["content_digest"] for name, stage in demo.items() if same_machine or name in EVERYWHERE}
    assert now == {name: digest for name, digest in golden["contents"].items() if name in now}
    assert set(EVERYWHERE) <= set(now)


def test_every_document_is_accounted_for(demo: Stages) -> None:
    pool, answers = demo["pretraining_pool"]["metrics"], demo["annotations"]["metrics"]
    assert pool["rows"] == pool["documents"] + pool["rejected"] == demo["pool_scores"]["rows"] == 11_709
    assert answers["asked"] + answers["not_drawn"] == demo["annotation_sample"]["rows"]
    assert sum(answers["by_status"].values()) == answers["asked"] == demo["annotations"]["rows"]
    assert answers["coverage"] == 1.0


def test_the_encoder_finds_mathematics_by_gold(demo: Stages) -> None:
    gold = EncoderResult.model_validate(demo["encoder"]["metrics"]).gold
    assert gold is not None
    assert gold.auc is not None
    assert gold.auc.low is not None
    assert gold.auc.value >= 0.97
    assert gold.auc.low > max(gold.baseline_auc["length"].high or 1.0, gold.baseline_auc["source"].high or 1.0)
    assert gold.auc_within["wikipedia"].value > 0.9
    assert gold.auc_within["docstring"].value > 0.9
    assert gold.annotator_auc is not None
    assert gold.annotator_auc.value > 0.97


def test_four_in_five_kept_documents_are_mathematics_by_gold(demo: Stages) -> None:
    metrics = demo["filtered_pool"]["metrics"]
    assert metrics["kept_documents"] == demo["filtered_pool"]["rows"] == int(0.082 * 11_709)
    assert metrics["gold"]["precision"]["value"] >= 0.80
    assert set(metrics["gold_within"]) == {"docstring", "wikipedia"}


def test_the_trained_model_beats_the_control_on_mathematics(demo: Stages) -> None:
    metrics = demo["evaluation"]["metrics"]
    assert metrics["verdict"] == "better"
    assert metrics["target_bpb_difference_low"] < metrics["target_bpb_difference"]
    assert metrics["target_bpb_difference"] < metrics["target_bpb_difference_high"] < 0
    assert metrics["seeds"] == 5


def test_the_gain_is_shown_against_a_control_with_the_same_mix_too(demo: Stages) -> None:
    metrics = demo["evaluation"]["metrics"]
    assert metrics["matched_target_verdict"] in {"better", "worse", "not distinguishable"}
    assert metrics["matched_target_bpb_difference"] > metrics["target_bpb_difference"]  # the mix is a part of the gain
    matched = demo["matched_lm"]["metrics"]
    assert all(abs(held / matched["filtered_tokens_held"] - 1) < 0.05 for held in matched["matched_tokens_held"])


def test_what_overlaps_with_the_evaluation_is_counted_and_left_out(demo: Stages) -> None:
    metrics = demo["decontamination"]["metrics"]
    assert 0 < metrics["left_out"] == sum(metrics["left_out_by_source"].values()) < 300
    assert metrics["evaluation_documents"] == demo["pool_tokens"]["metrics"]["documents"]["heldout"]


def test_two_controls_that_saw_other_random_documents_are_not_distinguishable(
    planned: dict[str, PlannedStep], tmp_path: Path
) -> None:
    pool, tokens = planned["pretraining_pool"].output, planned["pool_tokens"].output
    everything = {
        shard.name: ({"row": row["row"], "kept": True} for row in pool.rows(shard.name)) for shard in pool.shards
    }
    kept = stage_of_rows(tmp_path, "filtered_pool", everything, {"row": pl.Int64, "kept": pl.Boolean})
    clean = planned["decontamination"].output
    inputs = {"filtered_pool": kept, "pool_tokens": tokens, "decontamination": clean}
    other = run_build(build_candidate, "trained_lm", tmp_path, planned["trained_lm"].config, inputs, local_resources())
    compared = {
        "control_lm": planned["control_lm"].output,
        "matched_lm": run_build(build_matched, "matched_lm", tmp_path, {"asked": False}, {}),
        "trained_lm": other,
        "pool_tokens": tokens,
        "evaluation_targets": planned["evaluation_targets"].output,
    }
    metrics = run_build(
        evaluate, "evaluation", tmp_path, planned["evaluation"].config, compared, local_resources()
    ).metrics
    assert metrics["verdict"] == "not distinguishable"
    assert metrics["target_bpb_difference_low"] < 0 < metrics["target_bpb_difference_high"]


def test_every_seed_is_exported_as_transformers_has_it(planned: dict[str, PlannedStep]) -> None:
    for seed in range(5):
        folder = planned["trained_lm"].output.files(f"seed-{seed}/")[f"seed-{seed}/config.json"].parent
        config, tokenizer = AutoConfig.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
        assert isinstance(config, LlamaConfig)
        assert config.vocab_size == len(tokenizer) == 1024
        assert (folder / "model.safetensors").exists()
        assert tokenizer.decode(tokenizer("2 + 2 = 4").input_ids) == "2 + 2 = 4"
