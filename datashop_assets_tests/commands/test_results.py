"""Outputs in a notebook: rows of a stage, and clear words where there are none."""

import json
import os
import subprocess
from pathlib import Path

import polars as pl
import pytest

import datashop_assets
from datashop_assets.storage.root import project
from datashop_assets_tests.orchestration.workshop import Workshop

ROWS = [{"id": "a", "score": 1.0}, {"id": "b", "score": None}]
SCHEMA = {"id": pl.String, "score": pl.Float64}


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    made = Workshop(tmp_path)
    made.write("tides")
    return made


def opened(workshop: Workshop, stage: str) -> "datashop_assets.results.OpenedStage":  # type: ignore[name-defined]
    return datashop_assets.open_stage("tides", stage, root=workshop.store.root, prompts=workshop.store.folder)


def test_all_shards_below_each_other_or_some_by_pattern(workshop: Workshop) -> None:
    workshop.put("tides", "pretraining_pool", {"documents": 3}, one=(ROWS, SCHEMA), two=(ROWS[:1], SCHEMA))
    stage = opened(workshop, "pretraining_pool")
    assert stage.polars()["id"].to_list() == ["a", "b", "a"]
    assert stage.names("two*") == ["two.parquet"]
    assert stage.polars("two*")["id"].to_list() == ["a"]
    assert stage.metrics == {"documents": 3}


@pytest.mark.peers
def test_a_stage_is_a_dataset_for_those_who_use_datasets(workshop: Workshop) -> None:
    workshop.put("tides", "pretraining_pool", {}, one=(ROWS, SCHEMA), two=(ROWS[:1], SCHEMA))
    places = {"DATASHOP_ROOT": workshop.store.root.uri, "DATASHOP_PROMPTS": str(workshop.store.folder)}
    caches = {"HF_HOME": str(workshop.place / "hub"), "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(project())}
    command = [str(project() / ".venv-peers/bin/python"), str(Path(__file__).with_name("datasets_peer.py"))]
    done = subprocess.run(
        [*command, "tides", "pretraining_pool"],
        env={**os.environ, **places, **caches},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == {"kind": "Dataset", "columns": ["id", "score"], "rows": [*ROWS, ROWS[0]]}


def test_a_stage_that_is_not_there_says_what_to_run(workshop: Workshop) -> None:
    with pytest.raises(ValueError, match="run `datashop run tides --until encoder`"):
        opened(workshop, "encoder")
    with pytest.raises(ValueError, match=r"unknown stage 'encodre'; the stages of 'tides' are pretraining_pool"):
        opened(workshop, "encodre")


def test_an_altered_shard_is_refused(workshop: Workshop) -> None:
    workshop.put("tides", "pretraining_pool", {}, one=(ROWS, SCHEMA))
    stage = opened(workshop, "pretraining_pool")
    file = Path(str(stage.folder.folder.local)) / "one.parquet"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(Exception, match="altered"):
        stage.polars()
