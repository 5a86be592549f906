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
from datashop_assets.evaluation.results import EvaluationResult, Kind
from datashop_assets.evaluation.steps import evaluation
from datashop_assets.graph import plan
from datashop_assets.prompts.store import PromptStore, default_prompts
from datashop_assets.runner import local_resources
from datashop_assets.settings import read_settings
from datashop_assets.storage.root import default_root
from datashop_assets.trained_lm.results import MatchedLMResult
from datashop_assets.trained_lm.steps import trained_lm
from datashop_assets.training_documents.results import DecontaminationResult, PoolTokensResult
from datashop_assets_tests.acceptance.golden_contents import EVERYWHERE, GOLDEN, processor
from datashop_assets_tests.stages import run_step, stage_of_rows

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
    settings = read_settings()
    root = default_root(settings)
    return plan(PromptStore(default_prompts(settings), root).load("mathematics"), root)


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
    result = EvaluationResult.model_validate(demo["evaluation"]["metrics"])
    difference = result.primary.difference
    assert result.verdict == "better"
    assert difference.low is not None
    assert difference.high is not None
    assert difference.low < difference.value < difference.high < 0
    assert result.seeds == 10


def test_the_gain_is_shown_against_a_control_with_the_same_mix_too(demo: Stages) -> None:
    result = EvaluationResult.model_validate(demo["evaluation"]["metrics"])
    measure = result.measure("matched", Kind.TARGET)
    assert measure is not None
    assert measure.verdict in {"better", "worse", "not distinguishable"}
    assert measure.difference.value > result.primary.difference.value  # the mix is a part of the gain
    matched = MatchedLMResult.model_validate(demo["matched_lm"]["metrics"])
    for held, kept in zip(matched.own.tokens_held, matched.kept_tokens_held, strict=True):
        assert abs(held / kept - 1) < 0.05


def test_what_overlaps_with_the_evaluation_is_counted_and_left_out(demo: Stages) -> None:
    drawn = PoolTokensResult.model_validate(demo["pool_tokens"]["metrics"]).documents
    assert 0 < sum(drawn.left_out.values()) == sum(drawn.left_out_by_source.values()) < 300
    index = DecontaminationResult.model_validate(demo["decontamination"]["metrics"])
    assert index.heldout_documents == demo["pretraining_pool"]["metrics"]["by_split"]["heldout"]["documents"]


@pytest.mark.faults
def test_two_controls_that_saw_other_random_documents_are_not_distinguishable(
    planned: dict[str, PlannedStep], tmp_path: Path
) -> None:
    pool, tokens = planned["pretraining_pool"].output, planned["pool_tokens"].output
    everything = {
        shard.name: ({"row": row["row"], "kept": True} for row in pool.rows(shard.name)) for shard in pool.shards
    }
    kept = stage_of_rows(tmp_path, "filtered_pool", everything, {"row": pl.Int64, "kept": pl.Boolean})
    inputs = [pool, kept, tokens, planned["decontamination"].output]
    other = run_step(
        trained_lm, tmp_path, planned["trained_lm"].config, inputs, resources=local_resources(read_settings())
    )
    compared = [planned["control_lm"].output, other, tokens, planned["evaluation_targets"].output]
    config = planned["evaluation"].config
    result = run_step(evaluation, tmp_path, config, compared, resources=local_resources(read_settings())).result
    difference = result.primary.difference
    assert result.verdict == "not distinguishable"
    assert difference.low is not None
    assert difference.high is not None
    assert difference.low < 0 < difference.high


def test_every_seed_is_exported_as_transformers_has_it(planned: dict[str, PlannedStep]) -> None:
    for seed in range(5):
        folder = planned["trained_lm"].output.files(f"seed-{seed}/")[f"seed-{seed}/config.json"].parent
        config, tokenizer = AutoConfig.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
        assert isinstance(config, LlamaConfig)
        assert config.vocab_size == len(tokenizer) == 1024
        assert (folder / "model.safetensors").exists()
        assert tokenizer.decode(tokenizer("2 + 2 = 4").input_ids) == "2 + 2 = 4"
