"""The node types of a rendered cluster: a head, and workers with accelerators."""

from typing import Any

from infra.clusters.accelerators import Gpu, Tpu
from infra.clusters.cluster import Cluster

HEAD_IMAGE = "projects/deeplearning-platform-release/global/images/family/common-cpu-ubuntu-2204"
GPU_IMAGE = "projects/deeplearning-platform-release/global/images/family/common-cu128-ubuntu-2204-nvidia-570"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"  # what of it, the account's roles say
WORKER_CPUS = 100  # fewer than any accelerator host has (112 to 240), so that Ray never packs more on one


def head() -> dict[str, Any]:
    """No work is placed on the head: it would end the cluster if it ran out of memory."""
    return {
        "min_workers": 0,
        "max_workers": 0,
        "resources": {"CPU": 0},
        "node_config": {"machineType": "n2-standard-8", "disks": [_disk(HEAD_IMAGE, 200)]},
    }


def workers(cluster: Cluster, chip: Tpu | Gpu, identity: str) -> dict[str, Any]:
    """`identity` is the service account of each: Ray gives one to the head alone, and a machine without one may
    neither pull an image nor read a bucket.
    """
    if isinstance(chip, Gpu):
        return {"worker": _gpu_worker(cluster, chip, identity)}
    several = cluster.slices.items()
    fixed = {f"slice-{size}": _tpu_worker(chip, size, (count, count), identity) for size, count in several}
    return {"worker": _tpu_worker(chip, chip.single_host, cluster.workers, identity), **fixed}


def _tpu_worker(tpu: Tpu, size: int, number: tuple[int, int], identity: str) -> dict[str, Any]:
    kind = tpu.accelerator_type(size)
    return {
        "min_workers": number[0],
        "max_workers": number[1],
        # What a node says of itself once it is up; the autoscaler must know it before.
        "resources": {
            "CPU": WORKER_CPUS,
            "TPU": tpu.chips_a_host(size),
            f"TPU-{kind}-head": 1,
            f"accelerator_type:TPU-{tpu.prefix.upper()}": 1,
        },
        "labels": {"ray.io/tpu-topology": tpu.topologies[size], "ray.io/tpu-pod-type": kind},
        "node_config": {
            "acceleratorType": kind,
            "runtimeVersion": tpu.runtime,
            "schedulingConfig": {"preemptible": True},
            "serviceAccount": {"email": identity, "scope": [SCOPE]},  # the TPU interface's own names
        },
    }


def _gpu_worker(cluster: Cluster, gpu: Gpu, identity: str) -> dict[str, Any]:
    return {
        "min_workers": cluster.workers[0],
        "max_workers": cluster.workers[1],
        "resources": {"CPU": WORKER_CPUS, "GPU": gpu.count, f"accelerator_type:{gpu.ray_name}": 1},
        "node_config": {
            "machineType": gpu.machine_type,
            "disks": [_disk(GPU_IMAGE, 500)],
            "scheduling": {"provisioningModel": "SPOT", "onHostMaintenance": "TERMINATE"},
            "serviceAccounts": [{"email": identity, "scopes": [SCOPE]}],
        },
    }


def _disk(image: str, size: int) -> dict[str, Any]:
    parameters = {"diskSizeGb": size, "sourceImage": image}
    return {"boot": True, "autoDelete": True, "type": "PERSISTENT", "initializeParams": parameters}
