"""What the graph runs on is chosen by one variable, and a choice that cannot work is told at once."""

import os
import subprocess
import sys
from collections.abc import Mapping

import dagster as dg
import pytest

from datashop_assets.orchestration import profiles
from datashop_assets.orchestration.profiles import PROFILES, Profile
from datashop_assets_tests.environment import settings_of
from resources.annotator.embedded import EmbeddedAnnotator
from resources.annotator.ray_serve import RayServeVLLM
from resources.annotator.resource import AnnotatorEndpoints
from resources.annotator.vllm.server import VLLMServer
from resources.compute import LocalCompute, RayCompute
from resources.trainers import LocalTrainer, RayTrainer

GCP = {
    "DATASHOP_PROFILE": "gcp",
    "DATASHOP_ANNOTATOR": "endpoints",
    "DATASHOP_ANNOTATOR_URLS": "http://127.0.0.1:8000/v1",
    "RAY_ADDRESS": "ray://127.0.0.1:10001",
    "DATASHOP_ROOT": "gs://bucket/datashop",
}


def profile(environment: Mapping[str, str]) -> Profile:
    return profiles.profile(settings_of(environment))


def test_without_a_choice_all_is_done_here() -> None:
    assert profile({}) is PROFILES["local"]
    assert PROFILES["local"].executor is dg.in_process_executor


def test_an_accelerator_is_freed_between_steps() -> None:
    for name in ("gpu", "gcp"):
        assert PROFILES[name].executor.name == "multiprocess"


def test_one_step_at_a_time_has_the_accelerator_of_one_machine() -> None:
    """The annotator's pool and the trainer's are two, so that pools alone would let both have it."""
    executor = PROFILES["gpu"].executor.apply_config_mapping({"config": {}}).value
    assert executor["config"]["max_concurrent"] == 1


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
def test_a_choice_that_cannot_work_says_what_to_fix(changes: dict[str, str], told: str) -> None:
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
        "from datashop_assets.definitions import defs; held = defs.resources; "
        "print(defs.executor.name, *(type(held[name]).__name__ for name in ('annotator', 'trainer', 'compute')))"
    )
    load = [sys.executable, "-c", show]
    loaded = subprocess.run(load, env={**os.environ, **GCP}, capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == ["multiprocess", "AnnotatorEndpoints", "RayTrainer", "RayCompute"]


def test_without_a_word_all_resources_are_of_this_machine() -> None:
    settings = settings_of({"DATASHOP_PROCESSES": "3", "DATASHOP_MESH": "fsdp=2"})
    made = profiles.resources(settings)
    assert isinstance(made["annotator"], EmbeddedAnnotator)
    assert isinstance(made["trainer"], LocalTrainer)
    assert profiles.trainer(settings) == LocalTrainer(mesh="fsdp=2")
    assert isinstance(made["compute"], LocalCompute)
    assert made["compute"].workers == 3


def test_a_cluster_is_taken_where_it_is_named() -> None:
    given = {"RAY_ADDRESS": "ray://head:10001", "DATASHOP_CHECKPOINTS": "gs://b/c", "DATASHOP_TRAINING_WORKERS": "4"}
    settings = settings_of({**given, "DATASHOP_TPU_TOPOLOGY": "4x4", "DATASHOP_TPU_TYPE": "TPU-V6E"})
    assert profiles.compute(settings) == RayCompute(address="ray://head:10001")
    assert profiles.trainer(settings) == RayTrainer(
        address="ray://head:10001", checkpoints="gs://b/c", workers=4, topology="4x4", accelerator="TPU-V6E"
    )


def test_checkpoints_of_a_cluster_are_below_the_root_where_nobody_says() -> None:
    made = profiles.trainer(settings_of({"RAY_ADDRESS": "auto", "DATASHOP_ROOT": "gs://b/root/"}))
    assert isinstance(made, RayTrainer)
    assert made.checkpoints == "gs://b/root/checkpoints"
    with pytest.raises(ValueError, match="DATASHOP_CHECKPOINTS is not set; name a folder or bucket"):
        profiles.trainer(settings_of({"RAY_ADDRESS": "auto"}))


def test_endpoints_have_their_addresses_and_the_variable_of_their_key() -> None:
    given = {"DATASHOP_ANNOTATOR": "endpoints", "DATASHOP_ANNOTATOR_URLS": "http://one:8000, https://two/v1/"}
    made = profiles.annotator(settings_of({**given, "DATASHOP_ANNOTATOR_CONCURRENCY": "9"}))
    assert isinstance(made, AnnotatorEndpoints)
    assert (made.addresses, made.policy.most) == (["http://one:8000/v1", "https://two/v1"], 9)
    assert made.bearer == ""
    keyed = profiles.annotator(settings_of({**given, "DATASHOP_ANNOTATOR_KEY_VARIABLE": "K", "K": "secret"}))
    assert isinstance(keyed, AnnotatorEndpoints)
    assert isinstance(keyed.key, dg.EnvVar)
    assert keyed.key.env_var_name == "K"
    assert "secret" not in repr(keyed)


def test_a_server_is_called_as_the_settings_say() -> None:
    given = {"DATASHOP_ANNOTATOR": "server", "DATASHOP_VLLM_ARGUMENTS": "--max-num-seqs 64", "DATASHOP_ROOT": "/r"}
    made = profiles.annotator(settings_of({**given, "DATASHOP_VLLM_REVISION": "abc"}))
    assert isinstance(made, VLLMServer)
    assert made.arguments == ["--max-num-seqs", "64"]
    assert (made.tensor_parallel_size, made.revision, made.logs, made.cache) == (None, "abc", "/r/logs", "/r/cache")
    assert made.python.endswith("/.venv-vllm/bin/python")


def test_ray_serve_gets_its_slice_and_replicas() -> None:
    given = {"DATASHOP_ANNOTATOR": "ray-serve", "DATASHOP_SERVE_TOPOLOGY": "4x4", "DATASHOP_SERVE_MAX_REPLICAS": "32"}
    made = profiles.annotator(settings_of(given))
    assert isinstance(made, RayServeVLLM)
    assert (made.accelerator, made.topology, made.max_replicas) == ("TPU-V6E", "4x4", 32)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"DATASHOP_ANNOTATOR": "endpoints"}, "DATASHOP_ANNOTATOR_URLS is empty"),
        ({"DATASHOP_ANNOTATOR_URLS": "ftp://host"}, "is no http:// or https:// address"),
        ({"DATASHOP_ANNOTATOR_URLS": "http://[::1/v1"}, r"'http://\[::1/v1' .*correct DATASHOP_ANNOTATOR_URLS"),
        ({"DATASHOP_ANNOTATOR_URLS": "http://host:port/v1"}, r"'http://host:port/v1' .*DATASHOP_ANNOTATOR_URLS"),
        ({"DATASHOP_ANNOTATOR_URLS": "http://me:secret@[::1/v1"}, r"^(?!.*secret).*correct DATASHOP_ANNOTATOR_URLS"),
        ({"DATASHOP_ANNOTATOR_URLS": "me:secret@host:8000/v1"}, r"^(?!.*secret).* is no http:// or https:// address"),
        ({"DATASHOP_ANNOTATOR_URLS": "host/v1?key=secret"}, r"^(?!.*secret).* is no http:// or https:// address"),
        (
            {"DATASHOP_ANNOTATOR_URLS": "https://me:secret@host/v1"},
            r"^the annotator URL of host holds a user(?!.*secret)",
        ),
        (
            {"DATASHOP_ANNOTATOR": "ray-serve", "DATASHOP_SERVE_ACCELERATOR": "H100", "DATASHOP_SERVE_TOPOLOGY": "2x4"},
            "a TPU needs one",
        ),
    ],
)
def test_an_annotator_that_cannot_be_asked_says_what_to_fix(given: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        profiles.annotator(settings_of(given))
