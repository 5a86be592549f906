"""One row of the table of clusters becomes one file for `ray up`."""

from typing import Any

import yaml

from infra.clusters import commands
from infra.clusters.accelerators import Gpu, Tpu, accelerator
from infra.clusters.cluster import Cluster, checked_tag, image_name, ray_version
from infra.clusters.workers import head, workers
from infra.settings import CloudSettings

HEADER = "# Made by infra/update-cluster-configs.py: edit the tables there, then `make cluster_configs`.\n"
HEAD = "head"


def rendered(cluster: Cluster, tag: str, settings: CloudSettings) -> str:
    """The file's text. Raises `ValueError` for a zone, size, region or tag that cannot be."""
    return HEADER + yaml.safe_dump(config(cluster, tag, settings), sort_keys=False, width=120)


def config(cluster: Cluster, tag: str, settings: CloudSettings) -> dict[str, Any]:
    chip = accelerator(cluster.zone)
    if cluster.annotates and not chip.serves:
        raise ValueError(f"{cluster.name}: vLLM does not run on {_prefix(chip)}; annotate in another zone")
    types = {HEAD: head(), **workers(cluster, chip, settings.identity)}
    bucket = [] if cluster.annotates else commands.check_bucket(settings.root(cluster.region))
    return {
        "cluster_name": cluster.name,
        "max_workers": sum(kind["max_workers"] for kind in types.values()),
        "upscaling_speed": 1.0,  # at most doubles what is there at a time
        "idle_timeout_minutes": 15,
        "provider": {
            "type": "gcp",
            "region": cluster.region,
            "availability_zone": cluster.zone,
            "project_id": settings.project,
        },
        "auth": {"ssh_user": "ubuntu"},
        "docker": _docker(cluster, chip, tag, settings),
        "available_node_types": types,
        "head_node_type": HEAD,
        "initialization_commands": commands.prepare_machine(cluster.region),
        "setup_commands": commands.check_image(ray_version()),
        "worker_setup_commands": commands.check_accelerator(isinstance(chip, Tpu)) + bucket,
        "head_start_ray_commands": commands.start_head(),
        "worker_start_ray_commands": commands.start_worker(),
    }


def _docker(cluster: Cluster, chip: Tpu | Gpu, tag: str, settings: CloudSettings) -> dict[str, Any]:
    device = ["--privileged"] if isinstance(chip, Tpu) else ["--gpus=all"]  # a TPU's device files need it
    return {
        "image": settings.image(cluster.region, image_name(cluster.annotates, chip), checked_tag(tag, cluster.name)),
        "container_name": "datashop",
        "pull_before_run": True,
        "run_options": [
            "--ulimit=nofile=1048576:1048576",
            f"--volume={commands.CACHE}:/home/datashop/.cache",
            f"--env=DATASHOP_ROOT={settings.root(cluster.region)}",
        ],
        "worker_run_options": ["--ulimit=memlock=-1:-1", *device],
    }


def _prefix(chip: Tpu | Gpu) -> str:
    return chip.prefix if isinstance(chip, Tpu) else chip.machine_type
