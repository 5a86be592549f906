"""The files for `ray up`: what the tables make, taken by Ray, and with nothing in them that the cloud would refuse."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from datashop_assets_tests.infra.mutations import (
    Path_,
    add,
    changed,
    leaves,
    misspell_key,
    misspell_value,
    other_type,
    remove,
    text_for_number,
)
from infra.clusters.accelerators import TPUS, Tpu
from infra.clusters.cluster import PROJECT, Cluster
from infra.clusters.model import ClusterFile
from infra.clusters.render import rendered
from infra.clusters.validate import validate
from infra.settings import settings

FILES = sorted((PROJECT / "infra").glob("datashop-*.yaml"))
COMMIT = "0123456789ab"
SCRIPT = PROJECT / "infra" / "update-cluster-configs.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("update_cluster_configs", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MUTATIONS = [remove, misspell_key, misspell_value, other_type, text_for_number, add]


def test_the_regions_of_the_runbook_are_there() -> None:
    zones = {validate_quickly(file).provider.availability_zone: validate_quickly(file) for file in FILES}
    assert {"us-east5-b", "us-east1-d", "europe-west4-b", "us-central2-b", "us-central1-a"} == set(zones)
    assert isinstance(zones["us-east5-b"].chip, Tpu)
    assert len(FILES) == 9


def validate_quickly(file: Path) -> ClusterFile:
    return ClusterFile.model_validate(yaml.safe_load(file.read_text()))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_ray_and_the_closed_model_take_every_file(file: Path) -> None:
    cluster = validate(file.read_text())
    assert cluster.cluster_name == file.stem


def test_ray_alone_would_take_an_accelerator_that_does_not_exist() -> None:
    from ray.autoscaler._private.gcp.config import get_node_type
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = yaml.safe_load((PROJECT / "infra" / "datashop-us-east5-vllm.yaml").read_text())
    machine = config["available_node_types"]["worker"]["node_config"]
    machine |= {"acceleratorType": "v4x-6", "runtimeVersoin": "anything"}
    validate_config(prepare_config(config))
    assert get_node_type(machine).value == "tpu"
    with pytest.raises(ValidationError, match="acceleratorType"):
        validate(yaml.safe_dump(config, sort_keys=False))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_mutated_file_is_refused(file: Path) -> None:
    config = yaml.safe_load(file.read_text())
    taken = []
    for path in leaves(config):
        for mutation in MUTATIONS:
            if mutation is misspell_key and isinstance(path[-1], int):
                continue  # an entry of a list has no key
            if mutation is misspell_value and isinstance((value := at(config, path)), dict | list) and not value:
                continue
            mutated = changed(config, path, mutation)
            try:
                ClusterFile.model_validate(mutated)
            except ValidationError:
                continue
            taken.append((mutation.__name__, path))
    assert taken == []


def at(config: Any, path: Path_) -> Any:
    for key in path:
        config = config[key]
    return config


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        (("provider", "availability_zone"), "us-east1-d", "different regions"),
        (("provider", "availability_zone"), "moon-1-a", "availability_zone"),
        (("docker", "image"), "us-east5-docker.pkg.dev/my-datashop-project/datashop/cluster:0123456", "vllm-tpu"),
        (("available_node_types", "worker", "node_config", "acceleratorType"), "v5litepod-8", "not to be had"),
        (("available_node_types", "worker", "node_config", "acceleratorType"), "v6e-16", "single machines"),
        (("available_node_types", "worker", "min_workers"), 200, "above max_workers"),
        (("available_node_types", "worker", "resources", "TPU"), 4, "resources of this node"),
        (
            ("available_node_types", "worker", "node_config", "serviceAccount", "email"),
            "datashop-nodes@another-project.iam.gserviceaccount.com",
            "the service account is one of my-datashop-project",
        ),
        (("setup_commands",), ["ray stop"], "setup_commands"),
        (("max_workers",), 4, "not the sum"),
    ],
)
def test_what_does_not_fit_together_is_named(place: Path_, value: Any, told: str) -> None:
    config = yaml.safe_load((PROJECT / "infra" / "datashop-us-east5-vllm.yaml").read_text())
    with pytest.raises(ValidationError, match=told):
        ClusterFile.model_validate(changed(config, place, lambda holder, key: holder.__setitem__(key, value)))


def test_slices_of_several_machines_are_asked_for_at_a_fixed_number() -> None:
    config = yaml.safe_load((PROJECT / "infra" / "datashop-us-east5.yaml").read_text())
    slices = config["available_node_types"]["slice-128"]
    assert (slices["min_workers"], slices["max_workers"]) == (1, 1)
    slices["max_workers"] = 2
    with pytest.raises(ValidationError, match="fixed number"):
        ClusterFile.model_validate(config)


def test_every_worker_has_an_identity_and_ray_alone_gives_one_to_the_head() -> None:
    for file in FILES:
        for name, kind in validate_quickly(file).available_node_types.items():
            assert kind.node_config.identity == ("" if name == "head" else settings().identity)


def test_topologies_are_those_that_ray_knows() -> None:
    from ray._private.accelerators.tpu import VALID_TPU_TOPOLOGY, get_num_chips_from_topology

    for tpu in TPUS.values():
        assert set(tpu.topologies.values()) <= VALID_TPU_TOPOLOGY[tpu.prefix]
        for size, topology in tpu.topologies.items():
            assert get_num_chips_from_topology(topology) * tpu.cores_a_chip == size


def test_files_are_current_and_making_them_again_changes_nothing(script: ModuleType) -> None:
    for path, text in script.files().items():
        assert path.read_text() == text


@pytest.mark.parametrize(
    ("cluster", "tag", "told"),
    [
        (Cluster("us-east9-z", "training", (0, 1)), COMMIT, "unknown zone 'us-east9-z'"),
        (Cluster("us-east5-b", "training", (0, 1), {12: 1}), COMMIT, f"no v6e-12: there are {8}, {16}"),
        (Cluster("us-east5-b", "training", (0, 1)), "latest", "'latest' is no commit"),
        (Cluster("us-central2-b", "annotation", (0, 1)), COMMIT, "vLLM does not run on v4"),
    ],
)
def test_what_cannot_be_rendered_says_why(cluster: Cluster, tag: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        rendered(cluster, tag, settings())


def test_a_region_without_images_is_named() -> None:
    without = settings().model_copy(update={"regions": ("us-east1",)})
    with pytest.raises(ValueError, match="no image is pushed to 'us-east5'"):
        rendered(Cluster("us-east5-b", "training", (0, 1)), COMMIT, without)


def test_a_cluster_without_a_tag_is_named(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(script.DOCKER_TAGS, "us-east5-vllm")
    with pytest.raises(ValueError, match="DOCKER_TAGS has no 'us-east5-vllm'"):
        script.files()


def test_a_tag_that_is_no_commit_of_the_repository_is_refused(script: ModuleType) -> None:
    if subprocess.run(["git", "-C", str(PROJECT), "rev-parse", "HEAD"], capture_output=True, check=False).returncode:
        pytest.skip("no git repository here")
    with pytest.raises(ValueError, match="no commit of this repository"):
        script.commit("0" * 40, "datashop-us-east5")


def test_check_tells_a_file_that_is_not_current(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "infra").mkdir()
    monkeypatch.setattr(script, "PROJECT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["update-cluster-configs.py", "--check"])
    assert script.main() == 1
    assert "datashop-us-east5.yaml: not what the tables make" in capsys.readouterr().err


def test_the_runbook_tells_of_the_clusters_that_there_are() -> None:
    page = (PROJECT / "docs" / "clusters.md").read_text()
    for file in FILES:
        cluster = validate_quickly(file)
        (row,) = [line for line in page.splitlines() if line.startswith(f"| {cluster.provider.region} |")]
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        worker = cluster.available_node_types["worker"]
        assert cells[1] == cluster.provider.availability_zone
        assert cells[3 if cluster.annotates else 4].startswith(f"{worker.min_workers} to {worker.max_workers} ")
