"""What loading the definitions costs, and that they say what the stages say."""

import subprocess
import sys
from typing import Any

import dagster as dg
import pytest

from datashop_assets.core.step import Step
from datashop_assets.definitions import defs
from datashop_assets.graph import GRAPH
from datashop_assets.orchestration.assets import PROMPTS

ASSETS = list(defs.assets or ())
STEPS = [asset for asset in ASSETS if isinstance(asset, dg.AssetsDefinition)]
HEAVY = {"jax", "flax", "orbax", "transformers", "polars", "pyarrow", "gcsfs", "dagster_gcp", "ray"}
LOADING = "import sys, datashop_assets.definitions; print(*sys.modules)"


def test_loading_imports_nothing_heavy() -> None:
    loaded = subprocess.run([sys.executable, "-c", LOADING], capture_output=True, text=True, check=True).stdout.split()
    assert "dagster" in loaded
    assert not HEAVY & set(loaded)


@pytest.mark.parametrize("step", GRAPH.steps, ids=lambda step: step.name)
def test_every_step_has_an_asset_with_its_inputs_version_and_checks(step: Step[Any, Any]) -> None:
    (asset,) = [asset for asset in STEPS if asset.key.to_user_string() == step.name]
    drawn = {key.to_user_string() for key in asset.asset_deps[asset.key]}
    inputs = [one.result.step for one in step.inputs]
    assert drawn == {"prompt_file", *(GRAPH.nearest(inputs) if step.name == "data_card" else inputs)}
    assert asset.specs_by_key[asset.key].code_version == step.version
    assert asset.specs_by_key[asset.key].description == step.description != ""
    assert asset.specs_by_key[asset.key].owners == ["team:datashop"]
    assert {spec.name for spec in asset.check_specs} == {"usable", *(check.name for check in step.checks)}


def test_the_lines_to_the_card_lead_back_to_everything() -> None:
    inputs = [one.result.step for one in GRAPH.step("data_card").inputs]
    drawn = GRAPH.nearest(inputs)
    assert len(drawn) < 5
    assert {each for name in drawn for each in GRAPH.up_to(name)} == set(inputs)


def test_the_job_is_partitioned_and_holds_everything() -> None:
    job = defs.resolve_job_def("datashop")
    assert job.partitions_def is not None
    assert {key.to_user_string() for key in job.asset_layer.executable_asset_keys} == set(GRAPH.names)
    checks = {spec.key for asset in STEPS for spec in asset.check_specs}
    assert job.asset_layer.asset_graph.asset_check_keys == checks


def test_lineage_begins_at_the_prompt_file() -> None:
    (prompt_file,) = [asset for asset in ASSETS if isinstance(asset, dg.AssetSpec)]
    assert prompt_file.key == dg.AssetKey("prompt_file")
    assert prompt_file.partitions_def is PROMPTS


def test_only_what_computes_with_a_large_model_waits_for_it() -> None:
    pools = {asset.key.to_user_string(): asset.op.pool for asset in STEPS if asset.op.pool}
    assert {name for name, pool in pools.items() if pool == "annotator"} == {
        *("rubric", "annotations", "annotator_report", "keep_certificate", "blind_test", "evaluation_targets")
    }
    assert {name for name, pool in pools.items() if pool == "tpu"} == {
        *("control_lm", "matched_lm", "trained_lm", "evaluation"),
        *("control_lm_second_rate", "matched_lm_second_rate", "trained_lm_second_rate", "sensitivity"),
    }


def test_a_steps_tag_names_its_cluster() -> None:
    clusters = {asset.key.to_user_string(): asset.op.tags.get("datashop/cluster") for asset in STEPS}
    assert clusters["annotations"] == "annotation"
    assert clusters["trained_lm"] == clusters["pool_scores"] == "training"
    assert clusters["training_set"] is None
