"""A row of the table of clusters, and what follows from it."""

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from infra.clusters.accelerators import Gpu, Tpu

PROJECT = Path(__file__).parents[2]
COMMIT = re.compile(r"[0-9a-f]{7,40}")


@dataclass(frozen=True)
class Cluster:
    """A cluster: where, for what, and how many workers. `slices` asks for multi-host TPU slices at a fixed number."""

    zone: str
    purpose: str  # annotation or training
    workers: tuple[int, int]  # fewest and most single machines, added and removed by Ray
    slices: dict[int, int] = field(default_factory=dict)  # size -> number, up for as long as the cluster is

    @property
    def region(self) -> str:
        return self.zone.rpartition("-")[0]

    @property
    def name(self) -> str:
        return f"datashop-{self.region}" + ("-vllm" if self.purpose == "annotation" else "")

    @property
    def annotates(self) -> bool:
        return self.purpose == "annotation"


def image_name(annotates: bool, chip: Tpu | Gpu) -> str:
    """Annotator and trainer never share an image: each brings the `libtpu` that it was built with."""
    if annotates:
        return "vllm-tpu" if isinstance(chip, Tpu) else "vllm-gpu"
    return "cluster" if isinstance(chip, Tpu) else "cluster-gpu"


def checked_tag(tag: str, where: str) -> str:
    """`tag`, if it names a commit. Raises `ValueError` for another word, `latest` among them."""
    if not COMMIT.fullmatch(tag):
        raise ValueError(
            f"{where}: the image tag {tag!r} is no commit. Build with `make cluster_docker`, which prints the tag, "
            "and put it into DOCKER_TAGS of infra/update-cluster-configs.py"
        )
    return tag


@cache
def ray_version() -> str:
    """The version of Ray in the lock, which the images are built from and clients run."""
    found = re.search(r"^ray==(\S+)", (PROJECT / "locks" / "all.txt").read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise ValueError("locks/all.txt names no version of ray; run `make locks`")
    return found.group(1)
