"""A cluster file, field by field: what may stand in it and nothing else.

Ray's own schema takes `v4x-6`, a zone on the moon and node settings with misspelled keys, which fail an hour later in
the cloud. Here every key is known, every name comes from a closed set, and what says the same thing twice must agree.
"""

import re
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from infra.clusters import commands
from infra.clusters.accelerators import ZONES, Gpu, Tpu, accelerator
from infra.clusters.cluster import COMMIT, image_name, ray_version
from infra.clusters.nodes import Closed, NodeType, Number, check_worker, is_head, refuse
from infra.settings import Project

Commands = list[Annotated[str, StringConstraints(min_length=1)]]
IMAGE = re.compile(r"(?P<region>[a-z0-9-]+)-docker\.pkg\.dev/(?P<project>[^/]+)/[a-z-]+/(?P<name>[a-z-]+):(?P<tag>.+)")
NAME = re.compile(r"datashop-(?P<region>[a-z]+-[a-z]+\d)(?P<annotates>-vllm)?")
ROOT = re.compile(r"--env=DATASHOP_ROOT=(?P<root>gs://[a-z0-9-]+/datashop)")


class Provider(Closed):
    type: Literal["gcp"]
    region: str
    availability_zone: Literal[*ZONES]  # type: ignore[valid-type]
    project_id: Project


class Auth(Closed):
    ssh_user: Literal["ubuntu"]


class Docker(Closed):
    image: str
    container_name: Literal["datashop"]
    pull_before_run: Literal[True]
    run_options: tuple[str, str, str] = Field(strict=False)
    worker_run_options: list[Literal["--ulimit=memlock=-1:-1", "--privileged", "--gpus=all"]]


class ClusterFile(Closed):
    """A whole file."""

    cluster_name: str
    max_workers: Number
    upscaling_speed: Annotated[float, Field(gt=0, le=10)]
    idle_timeout_minutes: Annotated[int, Field(ge=5, le=120)]
    provider: Provider
    auth: Auth
    docker: Docker
    available_node_types: dict[str, NodeType]
    head_node_type: Literal["head"]
    initialization_commands: Commands
    setup_commands: Commands
    worker_setup_commands: Commands
    head_start_ray_commands: Commands
    worker_start_ray_commands: Commands

    @property
    def chip(self) -> Tpu | Gpu:
        return accelerator(self.provider.availability_zone)

    @property
    def annotates(self) -> bool:
        return self.cluster_name.endswith("-vllm")

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        """Zone, region, cluster and image speak of one place, and the image of one commit."""
        name, image = NAME.fullmatch(self.cluster_name), IMAGE.fullmatch(self.docker.image)
        if name is None or image is None:
            refuse(f"cluster_name {self.cluster_name!r} or docker.image {self.docker.image!r} is malformed")
        if {name["region"], image["region"], self.provider.availability_zone[:-2]} != {self.provider.region}:
            refuse("cluster_name, docker.image, zone and region name different regions")
        if image["project"] != self.provider.project_id or not COMMIT.fullmatch(image["tag"]):
            refuse(f"docker.image {self.docker.image!r} is of another project, or its tag is no commit")
        if image["name"] != (wanted := image_name(self.annotates, self.chip)):
            refuse(f"{self.cluster_name} needs the image {wanted!r}")
        return self

    @model_validator(mode="after")
    def _options_are_known(self) -> Self:
        root = ROOT.fullmatch(self.docker.run_options[2])
        known = ("--ulimit=nofile=1048576:1048576", f"--volume={commands.CACHE}:/home/datashop/.cache")
        device = "--privileged" if isinstance(self.chip, Tpu) else "--gpus=all"
        if self.docker.run_options[:2] != known or root is None:
            refuse("docker.run_options are not the limits, the cache and the root, in this order")
        if self.docker.worker_run_options != ["--ulimit=memlock=-1:-1", device]:
            refuse("docker.worker_run_options are not those of this zone's accelerator")
        return self

    @model_validator(mode="after")
    def _commands_are_known(self) -> Self:
        root = self.docker.run_options[2].removeprefix("--env=DATASHOP_ROOT=")
        wanted = {
            "initialization_commands": commands.prepare_machine(self.provider.region),
            "setup_commands": commands.check_image(ray_version()),
            "worker_setup_commands": commands.check_accelerator(isinstance(self.chip, Tpu))
            + ([] if self.annotates else commands.check_bucket(root)),
            "head_start_ray_commands": commands.start_head(),
            "worker_start_ray_commands": commands.start_worker(),
        }
        changed = [name for name, known in wanted.items() if getattr(self, name) != known]
        if changed:
            refuse(f"{', '.join(changed)}: not the commands of infra/clusters/commands.py")
        return self

    @model_validator(mode="after")
    def _nodes_are_of_this_zone(self) -> Self:
        (head, head_type), *workers = self.available_node_types.items()
        if head != "head" or not is_head(head_type):
            refuse("the first node type is the head: no workers, no CPUs, an n2-standard-8")
        if [name for name, _ in workers][:1] != ["worker"]:
            refuse("the second node type is `worker`")
        for name, kind in workers:
            check_worker(name, kind, self.chip, self.provider.project_id)
        if self.max_workers != sum(kind.max_workers for _, kind in workers):
            refuse("max_workers is not the sum over the node types")
        return self
