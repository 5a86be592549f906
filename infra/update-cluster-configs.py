"""Writes the cluster files for `ray up` and the values for Dagster's Helm chart, from the tables below.

With `--check` it says whether the files are current.

VLLM=1 make cluster_docker                      # prints the tag
edit DOCKER_TAGS, then make cluster_configs
ray up infra/datashop-us-east5-vllm.yaml
"""

import argparse
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from infra.clusters.cluster import PROJECT, Cluster, checked_tag
from infra.clusters.render import rendered
from infra.clusters.validate import validate
from infra.services import helm
from infra.settings import settings

HELM = PROJECT / "infra" / "dagster" / "deployed" / "helm-values.yaml"

# Region and purpose -> the commit whose image its clusters run. A region moves to a new image by itself.
DOCKER_TAGS = {
    "dagster": "94746be0fbee",
    "europe-west4": "94746be0fbee",
    "europe-west4-vllm": "94746be0fbee",
    "us-central1": "94746be0fbee",
    "us-central1-vllm": "94746be0fbee",
    "us-central2": "94746be0fbee",
    "us-east1": "94746be0fbee",
    "us-east1-vllm": "94746be0fbee",
    "us-east5": "94746be0fbee",
    "us-east5-vllm": "94746be0fbee",
}

# vLLM has no v4 (see clusters/accelerators.py): prompts that train in us-central2 are annotated elsewhere.
CLUSTERS = [
    Cluster("us-east5-b", "annotation", workers=(1, 128)),
    Cluster("us-east1-d", "annotation", workers=(1, 128)),
    Cluster("europe-west4-b", "annotation", workers=(1, 128)),
    Cluster("us-central1-a", "annotation", workers=(1, 16)),
    Cluster("us-east5-b", "training", workers=(0, 64), slices={128: 1}),
    Cluster("us-east1-d", "training", workers=(0, 64)),
    Cluster("europe-west4-b", "training", workers=(0, 64)),
    Cluster("us-central2-b", "training", workers=(0, 64)),
    Cluster("us-central1-a", "training", workers=(0, 8)),
]


def tag_of(cluster: Cluster) -> str:
    """Raises `ValueError` where `DOCKER_TAGS` has none."""
    key = cluster.name.removeprefix("datashop-")
    if key not in DOCKER_TAGS:
        raise ValueError(f"{cluster.name}: DOCKER_TAGS has no {key!r}; build an image and add its tag")
    return DOCKER_TAGS[key]


def commit(tag: str, name: str) -> None:
    """Raises `ValueError` for a tag that is no commit of this repository; a shallow clone cannot tell."""
    checked_tag(tag, name)
    known = _git("cat-file", "-e", f"{tag}^{{commit}}") == 0
    if not known and _git("cat-file", "-e", "HEAD") == 0 and not (PROJECT / ".git" / "shallow").exists():
        raise ValueError(f"{name}: the image tag {tag!r} is no commit of this repository")


def _git(*arguments: str) -> int:
    command = ["git", "-C", str(PROJECT), *arguments]
    return subprocess.run(command, check=False, capture_output=True).returncode  # noqa: S603


def files() -> dict[Path, str]:
    """Path -> text, each validated."""
    made = {}
    for cluster in CLUSTERS:
        text = rendered(cluster, tag_of(cluster), settings())
        validate(text)
        made[PROJECT / "infra" / f"{cluster.name}.yaml"] = text
    made[HELM] = helm.rendered(DOCKER_TAGS["dagster"], settings())
    return made


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is not current")
    check = parser.parse_args().check
    try:
        for cluster in [] if check else CLUSTERS:
            commit(tag_of(cluster), cluster.name)
        made = files()
    except ValueError as error:
        print(f"update-cluster-configs: {error}", file=sys.stderr)  # noqa: T201
        return 1
    old = [path for path, text in made.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    extra = set((PROJECT / "infra").glob("datashop-*.yaml")) - set(made)
    for path in old if not check else []:
        path.write_text(made[path], encoding="utf-8")
    for path in [*old, *extra] if check else sorted(extra):
        print(f"{path.relative_to(PROJECT)}: not what the tables make; `make cluster_configs`", file=sys.stderr)  # noqa: T201
    return 1 if extra or (check and old) else 0


if __name__ == "__main__":
    sys.exit(main())
