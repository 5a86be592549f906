"""Builds an image from the current commit and pushes it to every region of `infra/settings.yaml`.

    make cluster_docker            Ray nodes that filter and train on TPUs; GPU=1 for GPUs
    VLLM=1 make cluster_docker     annotator nodes for TPUs; VLLM=gpu for GPUs
    DAGSTER=1 make cluster_docker  the services of infra/dagster
    DRY_RUN=1 ...                  prints every command and runs none

The last line printed is the tag for `DOCKER_TAGS`.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from infra.clusters.cluster import PROJECT
from infra.settings import CloudSettings, settings


@dataclass(frozen=True)
class Image:
    """A Dockerfile, and what of it to build."""

    name: str
    dockerfile: str
    accelerator: str
    target: str = ""

    def build(self, commit: str) -> str:
        target = f"--target={self.target} " if self.target else ""
        return (
            f"git archive --format=tar {commit} | docker build --pull --platform=linux/amd64 {target}"
            f"--build-arg=ACCELERATOR={self.accelerator} --build-arg=COMMIT={commit} "
            f"--file=infra/images/{self.dockerfile} --tag={self.name}:{commit} -"
        )


IMAGES = {
    "cluster": Image("cluster", "datashop.Dockerfile", "tpu", "cluster"),
    "cluster-gpu": Image("cluster-gpu", "datashop.Dockerfile", "gpu", "cluster"),
    "vllm-tpu": Image("vllm-tpu", "vllm.Dockerfile", "tpu"),
    "vllm-gpu": Image("vllm-gpu", "vllm.Dockerfile", "gpu"),
    "dagster": Image("dagster", "datashop.Dockerfile", "tpu", "dagster"),
}


def chosen(environment: Mapping[str, str]) -> Image:
    """The image that `VLLM`, `GPU` and `DAGSTER` ask for. Raises `ValueError` for a value that asks for none."""
    vllm, gpu, dagster = (environment.get(name, "") for name in ("VLLM", "GPU", "DAGSTER"))
    if vllm not in {"", "1", "tpu", "gpu"} or {gpu, dagster} - {"", "1"} or sum(map(bool, (vllm, gpu, dagster))) > 1:
        raise ValueError(f"VLLM={vllm} GPU={gpu} DAGSTER={dagster}: set one of VLLM=1, VLLM=gpu, GPU=1, DAGSTER=1")
    if vllm:
        return IMAGES["vllm-gpu" if vllm == "gpu" else "vllm-tpu"]
    return IMAGES["cluster-gpu" if gpu else "dagster" if dagster else "cluster"]


def commands(image: Image, commit: str, day: str, places: CloudSettings) -> list[str]:
    """Every shell command in order: build, then sign in, tag and push for each region."""
    lines = [image.build(commit)]
    for region in places.regions:
        lines.append(f"gcloud auth configure-docker {region}-docker.pkg.dev --quiet")
        for tag in (commit, day, "latest"):
            remote = places.image(region, image.name, tag)
            lines += [f"docker tag {image.name}:{commit} {remote}", f"docker push {remote}"]
    return lines


def main(environment: Mapping[str, str]) -> int:
    commit = _shell("git rev-parse --short=12 HEAD", capture_output=True).stdout.strip()
    try:
        lines = commands(chosen(environment), commit, datetime.now(UTC).strftime("%Y%m%d"), settings())
    except ValueError as error:
        print(f"cluster_docker: {error}", file=sys.stderr)  # noqa: T201
        return 2
    for line in lines:
        print(f"+ {line}", flush=True)  # noqa: T201
        if not environment.get("DRY_RUN"):
            _shell(line)
    print(commit)  # noqa: T201
    return 0


def _shell(line: str, capture_output: bool = False) -> subprocess.CompletedProcess[str]:
    """Runs a line in the project. Raises `CalledProcessError` if any part of it fails."""
    command = ["/bin/bash", "-o", "pipefail", "-c", line]
    return subprocess.run(command, cwd=PROJECT, check=True, text=True, capture_output=capture_output)  # noqa: S603


if __name__ == "__main__":
    sys.exit(main(os.environ))
