"""What the graph runs on is chosen by one variable, and a choice that cannot work is told at once."""

import os
import subprocess
import sys

import dagster as dg
import pytest

from datashop_assets.orchestration.profiles import PROFILES, profile

GCP = {
    "DATASHOP_PROFILE": "gcp",
    "DATASHOP_ANNOTATOR": "endpoints",
    "DATASHOP_ANNOTATOR_URLS": "http://127.0.0.1:8000/v1",
    "RAY_ADDRESS": "ray://127.0.0.1:10001",
    "DATASHOP_ROOT": "gs://bucket/datashop",
}


def test_without_a_choice_all_is_done_here() -> None:
    assert profile({}) is PROFILES["local"]
    assert PROFILES["local"].executor is dg.in_process_executor


def test_an_accelerator_is_freed_between_steps() -> None:
    for name in ("gpu", "gcp"):
        assert PROFILES[name].executor.name == "multiprocess"


def test_a_complete_choice_is_taken() -> None:
    assert profile(GCP) is PROFILES["gcp"]
    assert profile({"DATASHOP_PROFILE": "gpu", "DATASHOP_ANNOTATOR": "server"}) is PROFILES["gpu"]
    assert profile({"RAY_ADDRESS": "127.0.0.1:6379"}) is PROFILES["local"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"DATASHOP_PROFILE": "cloud"}, "'cloud'; use one of local, gpu, gcp"),
        ({"DATASHOP_ANNOTATOR": "embedded"}, "DATASHOP_ANNOTATOR is 'embedded'; set it to endpoints"),
        ({"DATASHOP_ANNOTATOR": ""}, "DATASHOP_ANNOTATOR is 'embedded'; set it to endpoints"),
        ({"RAY_ADDRESS": ""}, "RAY_ADDRESS is not set"),
        ({"DATASHOP_PROFILE": "gpu"}, "which this profile would not use; unset it or use DATASHOP_PROFILE=gcp"),
        ({"DATASHOP_ROOT": "/tmp/results"}, "only this machine sees; name a bucket"),
        ({"DATASHOP_ROOT": ""}, "only this machine sees; name a bucket"),
        (
            {"DATASHOP_PROFILE": "gpu", "RAY_ADDRESS": "", "DATASHOP_ANNOTATOR": "embedded"},
            "or endpoints",
        ),
    ],
)
def test_a_choice_that_cannot_work_says_what_to_mend(changes: dict[str, str], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        profile(GCP | changes)


def test_a_wrong_choice_fails_when_the_definitions_are_loaded() -> None:
    environment = {**os.environ, "DATASHOP_PROFILE": "gcp"}
    load = [sys.executable, "-c", "import datashop_assets.definitions"]
    failed = subprocess.run(load, env=environment, capture_output=True, text=True, check=False)
    assert failed.returncode
    assert "ValueError: DATASHOP_PROFILE=gcp: DATASHOP_ANNOTATOR is 'embedded'" in failed.stderr


def test_the_cluster_profile_loads_and_speaks_to_its_clusters() -> None:
    show = (
        "from datashop_assets.definitions import definitions as made; held = made().resources; "
        "print(made().executor.name, *(type(held[name]).__name__ for name in ('annotator', 'trainer', 'compute')))"
    )
    load = [sys.executable, "-c", show]
    loaded = subprocess.run(load, env={**os.environ, **GCP}, capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == ["multiprocess", "AnnotatorResource", "RayTrainer", "RayCompute"]
