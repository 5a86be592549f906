"""What loading the definitions costs, and that they say what the stages say."""

import importlib
import subprocess
import sys

import pytest

from datashop_assets.definitions import ASSETS, CHECKS, defs
from datashop_assets.core.plan import nearest, up_to
from datashop_assets.core.step import Stage
from datashop_assets.graph import DATA_CARD, GRAPH

HEAVY = {"jax", "flax", "orbax", "transformers", "polars", "pyarrow", "gcsfs", "dagster_gcp", "ray"}
LOADING = "import sys, datashop_assets.definitions; print(*sys.modules)"


def test_loading_imports_nothing_heavy() -> None:
    loaded = subprocess.run([sys.executable, "-c", LOADING], capture_output=True, text=True, check=True).stdout.split()
    assert "dagster" in loaded
    assert not HEAVY & set(loaded)


@pytest.mark.parametrize("stage", GRAPH, ids=lambda stage: stage.name)
def test_every_stage_has_an_asset_with_its_inputs_and_version(stage: Stage) -> None:
    (asset,) = [asset for asset in ASSETS if asset.key.to_user_string() == stage.name]
    drawn = {key.to_user_string() for key in asset.asset_deps[asset.key]}
    assert drawn == set(nearest(stage.inputs) if stage is DATA_CARD else stage.inputs)
    assert asset.specs_by_key[asset.key].code_version == stage.code_version
    assert asset.specs_by_key[asset.key].description
    assert asset.specs_by_key[asset.key].owners == ["team:datashop"]


def test_the_lines_to_the_card_lead_back_to_everything() -> None:
    drawn = nearest(DATA_CARD.inputs)
    assert len(drawn) < 5
    assert {each for name in drawn for each in up_to(name)} == set(DATA_CARD.inputs)


@pytest.mark.parametrize("stage", GRAPH, ids=lambda stage: stage.name)
def test_every_stage_can_be_built_and_described(stage: Stage) -> None:
    assert callable(stage.resolve())
    assert callable(importlib.import_module(f"{stage.build.rpartition('.')[0]}.describe").describe)


def test_the_job_is_partitioned_and_holds_everything() -> None:
    job = defs.resolve_job_def("datashop")
    assert job.partitions_def is not None
    assert {key.to_user_string() for key in job.asset_layer.executable_asset_keys} == {stage.name for stage in GRAPH}
    assert len(job.asset_layer.asset_graph.asset_check_keys) == len(CHECKS)


def test_only_what_computes_with_a_large_model_waits_for_it() -> None:
    pools = {asset.key.to_user_string(): asset.op.pool for asset in ASSETS if asset.op.pool}
    assert {name for name, pool in pools.items() if pool == "annotator"} == {
        *("rubric", "annotations", "annotator_report", "keep_certificate", "evaluation_targets")
    }
    assert {name for name, pool in pools.items() if pool == "tpu"} == {
        *("control_lm", "matched_lm", "trained_lm", "evaluation")
    }


def test_a_steps_tag_names_its_cluster() -> None:
    clusters = {asset.key.to_user_string(): asset.op.tags.get("datashop/cluster") for asset in ASSETS}
    assert clusters["annotations"] == "annotation"
    assert clusters["trained_lm"] == clusters["pool_scores"] == "training"
    assert clusters["training_set"] is None
